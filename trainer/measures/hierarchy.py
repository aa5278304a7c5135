"""Distances of classes in a hierarchy, and hierarchical precision@k over it (Frome et al. 2013, Appendix).

Contract: distances are whole numbers of steps, (classes, classes), symmetric, 0 on the diagonal. The path from one
class to another leads up to a common kind, and down again; a root joins classes without one.

The set of the k nearest classes of an image is everything within the smallest radius round its label that holds k or
more; precision@k is the share of the k predictions that lie in it. So mistaking one dog for another is not entirely
wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.labels.class_words import ClassWords
from trainer.measures.ranking import top
from trainer.words.wordnet import Sense, WordNet

_ROOT = ""


@dataclass(frozen=True)
class Hierarchy:
    """The hierarchy's source, and the steps between classes: int64 (classes, classes)."""

    source: str
    distances: NDArray[np.int64]


def hierarchy_of(classes: Sequence[ClassWords], wordnet: WordNet | None = None) -> Hierarchy:
    """Return WordNet's hierarchy, if it is given and knows every class, or else that of the classes' kinds."""
    senses = [sense_of(each, wordnet) for each in classes] if wordnet else [None]
    if wordnet and all(senses):
        return Hierarchy("WordNet 3.0", _distances([_steps_up(sense, wordnet) for sense in senses if sense]))
    return Hierarchy("the kinds of the labels", _distances([_steps(each.words) for each in classes]))


def sense_of(each: ClassWords, wordnet: WordNet) -> Sense | None:
    """Return the meaning of a class: the sense that its name is the id of, or else the first sense of its word."""
    try:
        return wordnet.sense(each.name)
    except KeyError:
        return next(iter(wordnet.senses(each.word)), None)


def _steps(words: Sequence[str]) -> dict[str, int]:
    return {word: step for step, word in enumerate((*words, _ROOT))}


def _steps_up(sense: Sense, wordnet: WordNet) -> dict[str, int]:
    steps = {sense.wnid: 0} | {kind.wnid: distance for distance, kind in wordnet.ancestors(sense)}
    return steps | {_ROOT: max(steps.values()) + 1}


def _distances(steps: Sequence[Mapping[str, int]]) -> NDArray[np.int64]:
    """Return the shortest path between each two, given the steps from each to every node above it."""
    return np.array(
        [[0 if a is b else min(up + b[node] for node, up in a.items() if node in b) for b in steps] for a in steps],
        dtype=np.int64,
    )


def nearest_classes(distances: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Return which classes are in the set of each class's k nearest: (classes, classes)."""
    radius = np.sort(distances, axis=1)[:, min(k, len(distances)) - 1]
    near: NDArray[np.bool_] = distances <= radius[:, None]
    return near


def hierarchical_precision_at(
    ks: Sequence[int], scores: NDArray[np.floating], right: NDArray[np.bool_], hierarchy: Hierarchy
) -> dict[int, float]:
    """Return the mean share of the k best classes that are among the k nearest in the hierarchy, for each k.

    `scores`: (images, classes); `right`: the same, which classes each image shows. An image with several classes has
    the k nearest of each of them.
    """
    best = top(scores, max(ks))
    return {k: float(np.take_along_axis(near_to(right, hierarchy, k), best[:, :k], axis=1).mean()) for k in ks}


def near_to(right: NDArray[np.bool_], hierarchy: Hierarchy, k: int) -> NDArray[np.bool_]:
    """Return which classes are among the k nearest of a class that each image shows: (images, classes)."""
    near: NDArray[np.bool_] = right.astype(np.float32) @ nearest_classes(hierarchy.distances, k).astype(np.float32) > 0
    return near
