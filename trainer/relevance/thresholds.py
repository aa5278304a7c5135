"""Choose the least relevance at which a match is shown, and measure its effect.

empty      of words that no image matches, the share that comes back with nothing
on_top     of words that an image matches, the share whose first image is a right one and reaches the threshold
in_five    the same of one among the first five
kept       of right images on the first pages, the share that reaches the threshold
left_out   of the wrong words among images' ten nearest tags, the share below the threshold for tags
tags_kept  of the right ones among them, the share that reaches it

Words that no image matches ("foreign" words) are found in two ways. By the space itself, a word is foreign if it is far
from every word of the classes; this needs only the bundle, and is used to choose a threshold. By WordNet, a word is
foreign if no meaning of it as a noun is a class, a kind above one or a thing below one (an image of a cat may show a
"tabby"); this is independent of the space, so reports use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.errors import EvaluationImpossible
from trainer.labels.class_words import ClassWords
from trainer.labels.space import Vocabulary
from trainer.measures.hierarchy import sense_of
from trainer.measures.ranking import FIRST_PAGE, top
from trainer.measures.truth import Truth
from trainer.relevance.calibration import LogisticCurve, Pairs
from trainer.words.wordnet import WordNet

Floats = NDArray[np.floating]

_FIRST_FIVE = 5
# Of the starter's 2,628 taggable words 2,038 are farther than this from all words of its classes. By WordNet, 85 % of
# them are other things.
_FAR = 0.55


@dataclass(frozen=True)
class Threshold:
    """A least relevance and its effect.

    `empty`: share of the unanswerable queries that find nothing. `kept`: share of the right answers that stay.
    """

    min_relevance: float
    empty: float
    kept: float


def choose_threshold(right: Floats, best_wrong: Floats, empty: float = 0.8) -> Threshold:
    """Choose the least relevance at which a share of the unanswerable queries finds nothing.

    `right`: relevances of right answers. `best_wrong`: the highest relevance that each unanswerable query finds.
    """
    threshold = float(np.quantile(best_wrong, empty, method="higher"))
    threshold = float(np.nextafter(np.float32(threshold), np.float32(1)))
    return measure_threshold(threshold, right, best_wrong)


def measure_threshold(min_relevance: float, right: Floats, best_wrong: Floats) -> Threshold:
    """Measure the effect of a least relevance on answers that it was not chosen on."""
    return Threshold(
        min_relevance=min_relevance,
        empty=float(np.mean(np.asarray(best_wrong) < min_relevance)),
        kept=float(np.mean(np.asarray(right) >= min_relevance)),
    )


@dataclass(frozen=True)
class SearchEffects:
    """The shares above, 0…1, and of how many words and images; `empty` is nan if no word is known to match none."""

    empty: float
    on_top: float
    in_five: float
    kept: float
    unanswerable: int
    answerable: int
    images: int


def search_effects(
    truth: Truth, vocabulary: Vocabulary, foreign: Sequence[str], curve: LogisticCurve, min_relevance: float
) -> SearchEffects:
    """Measure the effect of a threshold on searches for every label and kind shown, and for foreign words.

    Raises:
        EvaluationImpossible: there are no images.
    """
    if not len(truth.labels):
        raise EvaluationImpossible(
            "The effect of thresholds is measured on images that did not choose them, but none are left. Add images."
        )
    words = (*truth.label_words, *truth.kind_words)
    similarity = vocabulary.vectors(words) @ truth.vectors.T
    page = top(similarity, FIRST_PAGE)
    right = np.take_along_axis(truth.relevance(words), page, axis=1)
    stays = _reaches(curve, np.take_along_axis(similarity, page, axis=1), min_relevance) & right
    return SearchEffects(
        empty=_empty(nearest_similarity(truth, foreign, vocabulary), curve, min_relevance),
        on_top=float(stays[:, 0].mean()),
        in_five=float(stays[:, :_FIRST_FIVE].any(axis=1).mean()),
        kept=float(stays.sum() / max(1, right.sum())),
        unanswerable=len(foreign),
        answerable=len(words),
        images=len(truth.labels),
    )


def _empty(nearest: NDArray[np.float32], curve: LogisticCurve, min_relevance: float) -> float:
    return float(np.mean(~_reaches(curve, nearest, min_relevance))) if len(nearest) else float("nan")


def tag_effects(pairs: Pairs, curve: LogisticCurve, min_relevance: float) -> tuple[float, float]:
    """Return `left_out` and `tags_kept`; nan where there are no such tags."""
    left_out, kept = (
        float(np.mean(_reaches(curve, values, min_relevance))) if len(values) else float("nan")
        for values in (pairs.wrong, pairs.right)
    )
    return 1 - left_out, kept


def _reaches(curve: LogisticCurve, similarity: NDArray[np.float32], min_relevance: float) -> NDArray[np.bool_]:
    reached: NDArray[np.bool_] = curve(similarity) >= min_relevance
    return reached


def far_words(words: Sequence[str], classes: Sequence[ClassWords], vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return those of the words whose cosine to every label and kind of the classes is low."""
    known = tuple(dict.fromkeys(word for each in classes for word in each.words))
    candidates = [word for word in words if word not in known]
    if not candidates:
        return ()
    nearest: NDArray[np.float32] = (vocabulary.vectors(candidates) @ vocabulary.vectors(known).T).max(axis=1)
    return tuple(word for word, cosine in zip(candidates, nearest, strict=True) if cosine < _FAR)


def words_of_other_things(words: Sequence[str], classes: Sequence[ClassWords], wordnet: WordNet) -> tuple[str, ...]:
    """Return the words none of whose meanings as a noun is a class, a kind above one or a thing below one.

    Words that are not nouns in WordNet are left out, since nothing is known about them; so are the classes' words.
    """
    senses = [sense for each in classes if (sense := sense_of(each, wordnet))]
    shown = {sense.wnid for sense in senses}
    above = shown | {kind.wnid for sense in senses for _, kind in wordnet.ancestors(sense)}
    known = {word for each in classes for word in each.words}

    def is_other(word: str) -> bool:
        meanings = [sense for base in wordnet.base_forms(word) for sense in wordnet.senses(base)]
        return bool(meanings) and not any(
            sense.wnid in above or any(kind.wnid in shown for _, kind in wordnet.ancestors(sense)) for sense in meanings
        )

    return tuple(word for word in words if word not in known and is_other(word))


def nearest_similarity(truth: Truth, words: Sequence[str], vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Return the similarity of the nearest image to each word: (words)."""
    if not words:
        return np.empty(0, np.float32)
    nearest: NDArray[np.float32] = (vocabulary.vectors(words) @ truth.vectors.T).max(axis=1)
    return nearest
