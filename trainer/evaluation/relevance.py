"""Fits a space's relevance curves and default thresholds on embedded images, and reports what they do to others.

Contract: the images are halved by a seed; curves and thresholds come from one half, the rates reported from the other.
Right and wrong pairs weigh the same (see ``calibration``). The pairs:

    text → image    a class's word or kind with each image; right if the image shows it
    tags            an image with each of the ten words nearest to it; right if the word is its class's or a kind
    image → image   two images; right if they show the same class

An unanswerable query is a taggable word far from every word of the classes: a thing that no image shows. It comes
back empty if not even its nearest image reaches the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.class_words import Vocabulary
from trainer.errors import EvaluationImpossible
from trainer.evaluation.calibration import LogisticCurve, Threshold, choose_threshold, fit_logistic, measure_threshold
from trainer.evaluation.ranking import top
from trainer.evaluation.truth import Truth

__all__ = ["Relevance", "fit_relevance"]

_PAIRS = 200_000
_IMAGES_FOR_TAGS = 1_000
_FOREIGN_COSINE = 0.4
_FOREIGN_QUERIES = 1_000
_FIRST_PAGE = 10
_SEARCHES_EMPTY = 0.8
_TAGS_EMPTY = 0.5

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Relevance:
    """A space's curves and thresholds, with the thresholds' effect on the unseen half.

    ``searches``: ``empty`` is the share of unanswerable queries that come back empty, ``kept`` the share of the right
    images on the first page of answerable ones that stay. ``tags``: ``empty`` is the share of the wrong words among an
    image's ten nearest that are left out, ``kept`` the share of the right ones that stay.
    """

    text_to_image: LogisticCurve
    tag: LogisticCurve
    image_to_image: LogisticCurve
    searches: Threshold
    tags: Threshold


@dataclass(frozen=True)
class _Pairs:
    right: Floats
    wrong: Floats

    def fit(self) -> LogisticCurve:
        if not len(self.right) or not len(self.wrong):
            raise EvaluationImpossible(
                "Relevance is fitted on right and on wrong pairs, and these images give only one of the two. "
                "Use more images of more classes."
            )
        return fit_logistic(self.right, self.wrong)


def fit_relevance(truth: Truth, vocabulary: Vocabulary, taggable: NDArray[np.bool_], seed: int = 0) -> Relevance:
    """Fit on one half of the images, report on the other.

    ``taggable``: (words), which words may be tags. The images must show every class a few times.

    Raises:
        EvaluationImpossible: there are no right or no wrong pairs of a sort.
    """
    random = np.random.default_rng(seed)
    halves = np.array_split(random.permutation(len(truth.labels)), 2)
    fitting, unseen = (Truth(truth.vectors[half], truth.labels[half], truth.classes) for half in halves)
    tags = tuple(word for word, may in zip(vocabulary.words, taggable, strict=True) if may)
    foreign = _foreign_queries(truth, vocabulary, tags, random)

    text = _text_pairs(fitting, vocabulary, random).fit()
    tag = _tag_pairs(fitting, vocabulary, tags).fit()
    first_page, nearest = _first_pages(fitting, vocabulary), _nearest(fitting, foreign)
    searches = choose_threshold(text(first_page), text(nearest), _SEARCHES_EMPTY)
    among_nearest = _tag_pairs(fitting, vocabulary, tags)
    tagging = choose_threshold(tag(among_nearest.right), tag(among_nearest.wrong), _TAGS_EMPTY)

    first_page, nearest = _first_pages(unseen, vocabulary), _nearest(unseen, foreign)
    among_nearest = _tag_pairs(unseen, vocabulary, tags)
    return Relevance(
        text_to_image=text,
        tag=tag,
        image_to_image=_image_pairs(fitting, random).fit(),
        searches=measure_threshold(searches.min_relevance, text(first_page), text(nearest)),
        tags=measure_threshold(tagging.min_relevance, tag(among_nearest.right), tag(among_nearest.wrong)),
    )


def _text_pairs(truth: Truth, vocabulary: Vocabulary, random: np.random.Generator) -> _Pairs:
    words = (*truth.label_words, *truth.kind_words)
    similarity, relevant = vocabulary.vectors(words) @ truth.vectors.T, truth.relevance(words)
    return _Pairs(_sample(similarity[relevant], random), _sample(similarity[~relevant], random))


def _tag_pairs(truth: Truth, vocabulary: Vocabulary, tags: tuple[str, ...]) -> _Pairs:
    number_of = {tag: number for number, tag in enumerate(tags)}
    own = np.zeros((len(truth.classes), len(tags)), dtype=np.bool_)
    for row, each in enumerate(truth.classes):
        own[row, [number_of[word] for word in each.words if word in number_of]] = True
    images = slice(_IMAGES_FOR_TAGS)
    similarity = truth.vectors[images] @ vocabulary.vectors(tags).T
    nearest = top(similarity, _FIRST_PAGE)
    shown = np.take_along_axis(similarity, nearest, axis=1)
    right = np.take_along_axis(own[truth.labels[images]], nearest, axis=1)
    return _Pairs(shown[right], shown[~right])


def _image_pairs(truth: Truth, random: np.random.Generator) -> _Pairs:
    left, other = (random.integers(len(truth.labels), size=10 * _PAIRS) for _ in range(2))
    left, other = left[left != other], other[left != other]
    same = truth.labels[left] == truth.labels[other]
    wrong = np.flatnonzero(~same)[:_PAIRS]
    pairs = np.concatenate([np.flatnonzero(same), wrong])
    similarity = np.einsum("nd,nd->n", truth.vectors[left[pairs]], truth.vectors[other[pairs]])
    return _Pairs(similarity[: -len(wrong)], similarity[-len(wrong) :])


def _foreign_queries(
    truth: Truth, vocabulary: Vocabulary, tags: tuple[str, ...], random: np.random.Generator
) -> Floats:
    """Vectors of taggable words that are far from every word of the classes."""
    vectors = vocabulary.vectors(tags)
    known = vocabulary.vectors((*truth.label_words, *truth.kind_words))
    far = np.flatnonzero((vectors @ known.T).max(axis=1) < _FOREIGN_COSINE)
    chosen: Floats = vectors[random.permutation(far)[:_FOREIGN_QUERIES]]
    return chosen


def _first_pages(truth: Truth, vocabulary: Vocabulary) -> Floats:
    """Similarities of the right images on the first page of every answerable query."""
    words = (*truth.label_words, *truth.kind_words)
    similarity = vocabulary.vectors(words) @ truth.vectors.T
    page = top(similarity, _FIRST_PAGE)
    right = np.take_along_axis(truth.relevance(words), page, axis=1)
    shown: Floats = np.take_along_axis(similarity, page, axis=1)[right]
    return shown


def _nearest(truth: Truth, queries: Floats) -> Floats:
    """The similarity of the nearest image to each query."""
    nearest: Floats = (queries @ truth.vectors.T).max(axis=1)
    return nearest


def _sample(values: Floats, random: np.random.Generator) -> Floats:
    return values if len(values) <= _PAIRS else random.choice(values, _PAIRS, replace=False)
