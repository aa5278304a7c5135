"""How often an image's first tags hold a right word: the label of a class it shows, or one of its kinds.

Contract: tags are the nearest of all taggable words, as the services give them; nothing narrows them to the words of
the data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.labels.class_words import ClassWords, Vocabulary
from trainer.measures.ranking import top
from trainer.measures.truth import Truth

__all__ = ["are_right", "nearest_tags", "right_tags", "taggable_words", "tagged_at"]

_CHUNK = 512


def taggable_words(vocabulary: Vocabulary, taggable: NDArray[np.bool_]) -> tuple[str, ...]:
    """The words that may be tags, most frequent first."""
    return tuple(word for word, may in zip(vocabulary.words, taggable, strict=True) if may)


def right_tags(classes: Sequence[ClassWords], tags: Sequence[str]) -> NDArray[np.bool_]:
    """Which tags are right for each class: (classes, tags)."""
    number_of = {tag: number for number, tag in enumerate(tags)}
    right = np.zeros((len(classes), len(tags)), dtype=np.bool_)
    for row, each in enumerate(classes):
        right[row, [number_of[word] for word in each.words if word in number_of]] = True
    return right


def nearest_tags(
    vectors: NDArray[np.float32], tags: NDArray[np.float32], k: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yields, for some images at a time, their k nearest tags and the similarities: two of (images, k)."""
    for start in range(0, len(vectors), _CHUNK):
        similarity = vectors[start : start + _CHUNK] @ tags.T
        nearest = top(similarity, k)
        yield nearest, np.take_along_axis(similarity, nearest, axis=1)


def are_right(nearest: NDArray[np.int64], right: NDArray[np.bool_], truth: Truth) -> NDArray[np.bool_]:
    """Which tags of each image, (images, k), are right for a class that it shows; ``right``: (classes, tags)."""
    shown = truth.labels[: len(nearest), :, None]
    hits: NDArray[np.bool_] = np.any(right[shown, nearest[:, None]] & (shown >= 0), axis=1)
    return hits


def tagged_at(ks: Sequence[int], truth: Truth, vocabulary: Vocabulary, taggable: NDArray[np.bool_]) -> dict[int, float]:
    """The share of images with a right word among their first k tags, for each k."""
    tags = taggable_words(vocabulary, taggable)
    right = right_tags(truth.classes, tags)
    nearest = np.concatenate([found for found, _ in nearest_tags(truth.vectors, vocabulary.vectors(tags), max(ks))])
    hits = are_right(nearest, right, truth)
    return {k: float(hits[:, :k].any(axis=1).mean()) for k in ks}
