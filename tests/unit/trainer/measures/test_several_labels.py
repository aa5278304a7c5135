"""Images that show several classes: each of them is right, and one label more or fewer elsewhere changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.trainer.made_up_space import CLASSES, TAGGABLE, VOCABULARY, perfect
from trainer.evaluation.baselines import EvaluationData, chance
from trainer.labels.space import padded_labels
from trainer.measures.evaluate import evaluate, measure_zero_shot
from trainer.measures.hierarchy import hierarchy_of
from trainer.measures.ranking import hit_by_chance
from trainer.measures.searches_and_tags import image_precision, search
from trainer.measures.truth import Truth
from trainer.relevance.fitting import share_a_class, tag_pairs

POODLE, TERRIER, CAR, TRUCK = range(4)


def random_labels(images: int, seed: int = 0) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    return padded_labels([random.permutation(4)[: random.integers(1, 4)].tolist() for _ in range(images)])


def sets(labels: NDArray[np.int64]) -> list[set[int]]:
    return [set(row.tolist()) - {-1} for row in labels]


def ground(truth: Truth) -> EvaluationData:
    return EvaluationData(truth, VOCABULARY, TAGGABLE, 1, hierarchy_of(CLASSES))


def test_room_for_more_labels_than_images_have_changes_no_figure() -> None:
    truth = perfect()
    noise = np.random.default_rng(0).normal(scale=0.4, size=truth.vectors.shape).astype(np.float32)
    truth = replace(truth, vectors=truth.vectors + noise)
    wide = replace(truth, labels=np.pad(truth.labels, ((0, 0), (0, 2)), constant_values=-1))
    one, other = (evaluate(each, VOCABULARY, TAGGABLE, nearest_kinds=1).metrics() for each in (truth, wide))
    assert one == other
    assert one["hit@1"] < 1
    by_chance = [chance(ground(each), search(each, VOCABULARY)) for each in (truth, wide)]
    assert by_chance[0] == by_chance[1]


def test_any_label_of_an_image_counts_as_right() -> None:
    """Half of the poodles stand beside a car, and lie where cars do."""
    truth = perfect()
    labels, vectors = np.pad(truth.labels, ((0, 0), (0, 1)), constant_values=-1), truth.vectors.copy()
    both = np.flatnonzero(truth.shows[:, POODLE])[:6]
    vectors[both] = truth.vectors[truth.shows[:, CAR]][:6]
    labels[both, 1] = CAR
    there = Truth(vectors, labels, CLASSES)
    metrics = evaluate(there, VOCABULARY, TAGGABLE, nearest_kinds=1).metrics()
    assert [metrics[name] for name in ("hit@1", "word_hit@1", "hierarchical_precision@2", "tagged@5")] == [1] * 4
    assert evaluate(replace(there, labels=truth.labels), VOCABULARY, TAGGABLE, 1).metrics()["hit@1"] == 42 / 48
    relevant = {query.query: query.relevant for query in search(there, VOCABULARY).queries["label"]}
    assert relevant == {"poodle": 12, "terrier": 12, "car": 18, "truck": 12}
    assert len(tag_pairs(there, VOCABULARY, TAGGABLE).right) == 48 * 2 + 6 * 2
    unseen = measure_zero_shot(there, VOCABULARY, {"n1", "n2"})
    assert (unseen.images, unseen.hits_among_all[1]) == (24, 18 / 24)


def test_searches_by_image_want_an_image_with_a_label_in_common() -> None:
    random = np.random.default_rng(1)
    vectors, labels = random.normal(size=(14, 8)).astype(np.float32), random_labels(14)
    shown = sets(labels)
    shares = []
    for one in range(14):
        others = sorted((other for other in range(14) if other != one), key=lambda each: -vectors[one] @ vectors[each])
        same = [bool(shown[other] & shown[one]) for other in others]
        if any(same):
            shares.append(sum(same[:10]) / min(10, sum(same)))
    assert image_precision(Truth(vectors, labels, CLASSES)) == pytest.approx(np.mean(shares))
    left, right = random_labels(60, seed=2), random_labels(60, seed=3)
    common = [bool(one & other) for one, other in zip(sets(left), sets(right), strict=True)]
    assert share_a_class(left, right).tolist() == common
    assert not all(common)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_chance_hits_more_often_what_has_more_labels(k: int) -> None:
    labels = padded_labels([[POODLE], [CAR, TRUCK], [TERRIER, POODLE, TRUCK]])
    truth = Truth(np.zeros((3, 8), np.float32), labels, CLASSES)
    orders = list(permutations(range(4)))
    expected = np.mean([bool(set(order[:k]) & shown) for order in orders for shown in sets(labels)])
    assert hit_by_chance(truth, k) == pytest.approx(expected)
