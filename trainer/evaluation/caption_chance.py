"""What the figures of captions come to if every order is equally likely; all of it exact, nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.captions import RECALLS, TAGS, WordFigures
from trainer.measures.random_orders import average_precision_by_chance, none_of, precision_by_chance

__all__ = ["retrieval_by_chance", "tags_by_chance", "words_by_chance"]


def retrieval_by_chance(direction: str, own: NDArray[np.int64], among: int) -> dict[str, float]:
    """R@k and the median rank of the best of each query's ``own`` (queries) right answers ``among`` so many."""
    counts, times = np.unique(own, return_counts=True)
    weights = times / times.sum()
    missed = np.ones(among + 1)  # the share of queries without a right answer in the first k
    for k in range(1, among + 1):
        missed[k] = float(np.dot(weights, [none_of(int(count), among, k) for count in counts]))
    median = int(np.argmax(missed <= 0.5))
    recalls = {f"{direction}_recall@{k}": float(1 - missed[min(k, among)]) for k in RECALLS}
    return recalls | {f"{direction}_median_rank": float(median)}


def words_by_chance(found: Sequence[WordFigures], judged: NDArray[np.int64]) -> dict[str, float]:
    """The figures of the same searches, each among so many ``judged`` images, (searches)."""
    if not found:
        return {}
    counts = list(zip([each.relevant for each in found], judged.tolist(), strict=True))
    precision = [precision_by_chance(np.array([relevant]), among) for relevant, among in counts]
    average = [average_precision_by_chance(relevant, among) for relevant, among in counts]
    return {"word_precision@10": float(np.mean(precision)), "word_map": float(np.mean(average))}


def tags_by_chance(right: NDArray[np.int64], tags: int) -> dict[str, float]:
    """The share of images with a right one among k tags drawn; ``right``: (images), how many of the tags are right."""
    return {f"tagged@{k}": float(np.mean([1 - none_of(int(each), tags, k) for each in right])) for k in TAGS}
