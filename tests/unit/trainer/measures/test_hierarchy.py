"""Distances in a hierarchy, and hierarchical precision against the widening radius of Frome et al. 2013."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.small_wordnet import WORDNET
from trainer.labels.class_words import ClassWords
from trainer.measures.hierarchy import Hierarchy, hierarchical_precision_at, hierarchy_of, nearest_classes

POODLE = ClassWords("n00000001", "poodle", ("dog", "animal"))
TERRIER = ClassWords("n00000002", "terrier", ("dog", "animal"))
TROUT = ClassWords("n00000003", "trout", ("animal",))
CAR = ClassWords("n00000004", "car", ("vehicle",))
DOG = ClassWords("dog", "dog", ("animal",))


def test_steps_lead_over_shared_kinds_and_else_over_a_root() -> None:
    found = hierarchy_of((POODLE, TERRIER, TROUT, CAR, DOG))
    assert found.source == "the kinds of the labels"
    assert found.distances.tolist() == [
        [0, 2, 3, 5, 1],
        [2, 0, 3, 5, 1],
        [3, 3, 0, 4, 2],
        [5, 5, 4, 0, 4],
        [1, 1, 2, 4, 0],
    ]


def test_wordnet_gives_the_steps_where_it_knows_every_class() -> None:
    """A class that is not named by a WordNet id is looked up by its word."""
    found = hierarchy_of((POODLE, TERRIER, TROUT, CAR, DOG), WORDNET)
    assert found.source == "WordNet 3.0"
    assert found.distances.tolist() == [
        [0, 2, 5, 7, 1],
        [2, 0, 5, 7, 1],
        [5, 5, 0, 6, 4],
        [7, 7, 6, 0, 6],
        [1, 1, 4, 6, 0],
    ]
    unknown = ClassWords("own", "gizmo", ())
    assert hierarchy_of((POODLE, unknown), WORDNET).source == "the kinds of the labels"


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_precision_uses_the_radius_that_holds_k_classes(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    steps, scores = random.integers(1, 5, (6, 6)), random.integers(-3, 4, (5, 6)).astype(np.float32)
    truth = random.integers(0, 6, 5)
    distances = np.maximum(steps, steps.T)
    np.fill_diagonal(distances, 0)
    shares = []
    for row, label in zip(scores, truth, strict=True):
        correct: set[int] = set()
        radius = 0
        while len(correct) < k:
            correct |= {other for other in range(6) if distances[label, other] == radius}
            radius += 1
        best = sorted(range(6), key=lambda place: (-row[place], place))[:k]
        shares.append(len(correct & set(best)) / k)
    found = hierarchical_precision_at([k], scores, np.eye(6, dtype=np.bool_)[truth], Hierarchy("test", distances))
    assert found[k] == pytest.approx(np.mean(shares))


def test_of_one_class_the_nearest_is_itself() -> None:
    distances = hierarchy_of((POODLE, TERRIER, TROUT)).distances
    assert nearest_classes(distances, 1).tolist() == np.eye(3, dtype=bool).tolist()
    assert nearest_classes(distances, 9).all()
