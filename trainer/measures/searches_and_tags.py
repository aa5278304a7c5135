"""Measure how many right pictures a search finds first, and how often an image's first tags have a right word.

Contract: a query's vector is its word's own; of two words, the mean of both scaled to length 1, as the services answer
it. An image is relevant to a word, and the word right for it, if the word is the label of a class it shows or one of
its kinds. Tags are the nearest of all taggable words; they are not limited to the words of the data set. The sorts of
text queries:

    label    each class's label kind     each kind that is not itself a label pair     a label and its nearest kind
    ("goldfish fish"): relevant if relevant to both either   a label and another, drawn by a seed: relevant if relevant
    to one of the two, since the mean of two words asks for images near either; `both_found` is the share of them whose
    first ten show both
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.labels.class_words import ClassWords
from trainer.labels.space import Vocabulary, unit_rows
from trainer.measures.ranking import FIRST_PAGE, average_precision, precision_at, top
from trainer.measures.truth import Truth

SORTS = ("label", "kind", "pair", "either")
Words = tuple[str, ...]
_CHUNK = 512


@dataclass(frozen=True)
class QueryFigures:
    """A query, the share of right images among the first ten it finds, its average precision over all of them.

    `relevant`: how many right images there are.
    """

    query: str
    precision: float
    average_precision: float
    relevant: int


@dataclass(frozen=True)
class Searches:
    """The figures of every query by its sort; a sort without queries is left out."""

    queries: Mapping[str, tuple[QueryFigures, ...]]
    both_found: float

    def metrics(self) -> dict[str, float]:
        """Return mean precision@10 and mean average precision of each sort."""
        means: dict[str, float] = {}
        for sort, queries in self.queries.items():
            means[f"{sort}_precision@{FIRST_PAGE}"] = float(np.mean([query.precision for query in queries]))
            means[f"{sort}_map"] = float(np.mean([query.average_precision for query in queries]))
        return means | ({f"both_found@{FIRST_PAGE}": self.both_found} if "either" in self.queries else {})


def search(truth: Truth, vocabulary: Vocabulary, seed: int = 0) -> Searches:
    """Search for every label and kind that an image shows, and for pairs of words."""
    labels = truth.label_words
    pairs = tuple(dict.fromkeys((each.word, each.kinds[0]) for each in truth.shown if each.kinds))
    drawn = np.random.default_rng(seed).permutation(len(labels))
    either = tuple((labels[one], labels[other]) for one, other in zip(drawn, np.roll(drawn, 1), strict=True))
    asked: dict[str, tuple[Words, ...]] = {
        "label": tuple((word,) for word in labels),
        "kind": tuple((word,) for word in truth.kind_words),
        "pair": pairs,
        "either": either if len(labels) > 1 else (),
    }
    found = {sort: search_by(queries, truth, vocabulary, match_any=sort == "either") for sort, queries in asked.items()}
    return Searches(
        {sort: found[sort] for sort in SORTS if found[sort]}, _both_found(asked["either"], truth, vocabulary)
    )


def search_by(
    queries: Sequence[Words], truth: Truth, vocabulary: Vocabulary, *, match_any: bool = False
) -> tuple[QueryFigures, ...]:
    """Return the figures of some queries, each of one or more words; queries without a relevant image are left out.

    `match_any`: an image is relevant if it is relevant to any of a query's words; otherwise to all of them.
    """
    if not queries:
        return ()
    merge = np.any if match_any else np.all
    relevant = np.stack([merge(truth.relevance(words), axis=0) for words in queries])
    answerable = np.flatnonzero(relevant.any(axis=1))
    if not len(answerable):
        return ()
    asked, relevant = [queries[int(number)] for number in answerable], relevant[answerable]
    similarity = _vectors(asked, vocabulary) @ truth.vectors.T
    columns = (precision_at(FIRST_PAGE, similarity, relevant), average_precision(similarity, relevant))
    return tuple(
        QueryFigures(" ".join(words), float(precision), float(average), int(count))
        for words, precision, average, count in zip(asked, *columns, relevant.sum(axis=1), strict=True)
    )


def _both_found(queries: Sequence[Words], truth: Truth, vocabulary: Vocabulary) -> float:
    if not queries:
        return float("nan")
    first = top(_vectors(queries, vocabulary) @ truth.vectors.T, FIRST_PAGE)
    both = [truth.relevance(words)[:, found].any(axis=1).all() for words, found in zip(queries, first, strict=True)]
    return float(np.mean(both))


def _vectors(queries: Sequence[Words], vocabulary: Vocabulary) -> NDArray[np.float32]:
    return unit_rows(np.stack([vocabulary.vectors(words).mean(axis=0) for words in queries]))


def image_precision(truth: Truth) -> float:
    """Return mean precision@10 of searches by each image among all others; right images share a class with it.

    Images that share no class with another image are left out; nan if all are.
    """
    shares = []
    numbers = np.arange(len(truth.labels))
    for start in range(0, len(numbers), _CHUNK):
        rows = numbers[start : start + _CHUNK]
        similarity = truth.vectors[rows] @ truth.vectors.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        same = truth.alike(rows) & (rows[:, None] != numbers)
        asked = same.any(axis=1)
        shares.append(precision_at(FIRST_PAGE, similarity[asked], same[asked]))
    found = np.concatenate(shares)
    return float(found.mean()) if len(found) else float("nan")


def taggable_words(vocabulary: Vocabulary, taggable: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the words that may be tags, most frequent first."""
    return tuple(word for word, may in zip(vocabulary.words, taggable, strict=True) if may)


def right_tags(classes: Sequence[ClassWords], tags: Sequence[str]) -> NDArray[np.bool_]:
    """Return which tags are right for each class: (classes, tags)."""
    number_of = {tag: number for number, tag in enumerate(tags)}
    right = np.zeros((len(classes), len(tags)), dtype=np.bool_)
    for row, each in enumerate(classes):
        right[row, [number_of[word] for word in each.words if word in number_of]] = True
    return right


def nearest_tags(
    vectors: NDArray[np.float32], tags: NDArray[np.float32], k: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield, for some images at a time, their k nearest tags and the similarities: two of (images, k)."""
    for start in range(0, len(vectors), _CHUNK):
        similarity = vectors[start : start + _CHUNK] @ tags.T
        nearest = top(similarity, k)
        yield nearest, np.take_along_axis(similarity, nearest, axis=1)


def are_right(nearest: NDArray[np.int64], right: NDArray[np.bool_], truth: Truth) -> NDArray[np.bool_]:
    """Return which tags of each image, (images, k), are right for a class that it shows; `right`: (classes, tags)."""
    shown = truth.labels[: len(nearest), :, None]
    hits: NDArray[np.bool_] = np.any(right[shown, nearest[:, None]] & (shown >= 0), axis=1)
    return hits


def tagged_at(ks: Sequence[int], truth: Truth, vocabulary: Vocabulary, taggable: NDArray[np.bool_]) -> dict[int, float]:
    """Return the share of images with a right word among their first k tags, for each k."""
    tags = taggable_words(vocabulary, taggable)
    right = right_tags(truth.classes, tags)
    nearest = np.concatenate([found for found, _ in nearest_tags(truth.vectors, vocabulary.vectors(tags), max(ks))])
    hits = are_right(nearest, right, truth)
    return {k: float(hits[:, :k].any(axis=1).mean()) for k in ks}
