"""Baselines: chance against all orders, and ConSE and classifiers on features with obvious answers."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from tests.unit.trainer.made_up_space import CLASSES, TAGGABLE, VOCABULARY, WORDS, perfect
from trainer.evaluation.baselines import (
    EvaluationData,
    Features,
    chance,
    conse,
    conse_vectors,
    feature_baselines,
    fit_softmax,
)
from trainer.labels.class_words import ClassWords
from trainer.measures.hierarchy import hierarchy_of
from trainer.measures.ranking import average_precision, precision_at
from trainer.measures.searches_and_tags import QueryFigures, Searches, search
from trainer.measures.truth import Truth

GROUND = EvaluationData(perfect(), VOCABULARY, TAGGABLE, 1, hierarchy_of(CLASSES))


def small_ground(images: int) -> EvaluationData:
    truth = Truth(perfect().vectors[:images], np.arange(images)[:, None] % 4, CLASSES)
    return EvaluationData(truth, VOCABULARY, TAGGABLE, 1, hierarchy_of(CLASSES))


@pytest.mark.parametrize("relevant", [1, 2, 4])
def test_chance_of_searches_is_the_mean_over_all_orders(relevant: int) -> None:
    orders = np.array(list(permutations(range(6))), dtype=np.float32)
    right = np.tile(np.arange(6) < relevant, (len(orders), 1))
    asked = Searches({"label": (QueryFigures("dog", 0.0, 0.0, relevant),)}, float("nan"))
    found = chance(small_ground(6), asked)
    assert found["label_map"] == pytest.approx(average_precision(orders, right).mean())
    assert found["label_precision@10"] == pytest.approx(precision_at(10, orders, right).mean())


def test_chance_of_a_first_page_is_the_share_of_right_images() -> None:
    asked = Searches({"label": (QueryFigures("dog", 0.0, 0.0, 12), QueryFigures("car", 0.0, 0.0, 3))}, float("nan"))
    random = np.random.default_rng(0).random((20_000, 48))
    few = precision_at(10, random, np.tile(np.arange(48) < 3, (len(random), 1))).mean()
    many = precision_at(10, random, np.tile(np.arange(48) < 12, (len(random), 1))).mean()
    assert chance(GROUND, asked)["label_precision@10"] == pytest.approx((few + many) / 2, abs=0.005)


def test_chance_of_tags_is_the_mean_over_all_sets_of_tags() -> None:
    tags = [word for word in WORDS if word != "the"]
    found = chance(GROUND, search(GROUND.truth, VOCABULARY))
    for k in (1, 5):
        sets = list(combinations(tags, k))
        shares = [np.mean([bool(set(each.words) & set(drawn)) for drawn in sets]) for each in CLASSES]
        assert found[f"tagged@{k}"] == pytest.approx(np.mean(shares))
    assert found["tagged@10"] == 1


def test_chance_is_k_of_all_classes_and_the_share_of_near_ones() -> None:
    found = chance(GROUND, search(GROUND.truth, VOCABULARY))
    assert (found["hit@1"], found["hit@2"], found["hit@10"]) == (0.25, 0.5, 1)
    assert found["hierarchical_precision@2"] == 0.5
    assert found["image_precision@10"] == pytest.approx(11 / 47)


def test_conse_of_a_certain_class_is_its_label_vector() -> None:
    targets = np.stack([VOCABULARY.label_vector(each, 1) for each in CLASSES])
    assert conse_vectors(np.eye(4, dtype=np.float32), targets) == pytest.approx(targets, abs=1e-6)
    assert conse(GROUND, np.eye(4, dtype=np.float32)[GROUND.truth.labels[:, 0]])["hit@1"] == 1


def test_conse_weighs_only_the_likeliest_classes() -> None:
    targets = np.eye(3, dtype=np.float32)
    (vector,) = conse_vectors(np.array([[0.6, 0.3, 0.1]], np.float32), targets, classes=2)
    assert vector == pytest.approx(np.array([2, 1, 0]) / np.sqrt(5), abs=1e-6)


def test_baselines_on_clusters_never_answer_an_unseen_class() -> None:
    random = np.random.default_rng(2)
    centres = random.normal(size=(4, 6)).astype(np.float32)
    labels = np.repeat(np.arange(3), 30)

    def features(of: np.ndarray) -> np.ndarray:
        return (centres[of] + 0.1 * random.normal(size=(len(of), 6))).astype(np.float32)

    found = feature_baselines(GROUND, Features(features(GROUND.truth.labels[:, 0]), features(labels), labels))
    assert list(found) == ["softmax", "ConSE", "nearest class mean"]
    for metrics in found.values():
        # The fourth class, a quarter of the images, was not in training.
        assert metrics["hit@1"] == pytest.approx(0.75, abs=0.03)
    assert "label_precision@10" not in found["softmax"]
    assert found["nearest class mean"]["image_precision@10"] == 1
    assert found["ConSE"]["tagged@10"] >= 0.75


def test_a_seed_fixes_the_classifier_and_constants_do_no_harm() -> None:
    features = np.concatenate([np.eye(3), np.ones((3, 2))], axis=1).astype(np.float32)
    one, other = (fit_softmax(features, np.arange(3), 3, seed=4) for _ in range(2))
    assert one(features).tolist() == other(features).tolist()
    assert one(features).sum(axis=1) == pytest.approx(1)


def test_a_word_shared_by_two_classes_is_right_for_both() -> None:
    classes = (ClassWords("a", "dog"), ClassWords("b", "poodle", ("dog",)))
    truth = Truth(VOCABULARY.vectors(["dog", "poodle"]), np.arange(2)[:, None], classes)
    (dog, poodle) = search(truth, VOCABULARY).queries["label"]
    assert (dog.relevant, poodle.relevant) == (2, 1)
