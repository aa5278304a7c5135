"""Searches by a word, by two, and by a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.made_up_space import CLASSES, VOCABULARY, perfect
from trainer.labels.space import unit_rows
from trainer.measures.searches_and_tags import image_precision, search, search_by
from trainer.measures.truth import Truth


def test_pairs_ask_for_a_label_and_its_nearest_kind() -> None:
    queries = {query.query: query.relevant for query in search(perfect(), VOCABULARY).queries["pair"]}
    assert queries == {"poodle dog": 12, "terrier dog": 12, "car vehicle": 12, "truck vehicle": 12}


def test_two_labels_find_either_and_each_label_is_queried_twice() -> None:
    found = search(perfect(), VOCABULARY)
    queries = found.queries["either"]
    assert [query.relevant for query in queries] == [24] * 4
    words = " ".join(query.query for query in queries).split()
    assert {word: words.count(word) for word in words} == {"poodle": 2, "terrier": 2, "car": 2, "truck": 2}


def test_full_precision_for_one_of_two_labels_is_not_both_found() -> None:
    poodle, car = VOCABULARY.vectors(["poodle", "car"])
    between = unit_rows((poodle + car)[None])
    vectors = np.concatenate([np.repeat(between, 12, axis=0), np.repeat(car[None], 12, axis=0)])
    truth = Truth(vectors, np.repeat(np.arange(2), 12)[:, None], (CLASSES[0], CLASSES[2]))
    found = search(truth, VOCABULARY)
    assert [query.precision for query in found.queries["either"]] == [1, 1]
    assert found.both_found == 0
    apart = replace(truth, vectors=np.concatenate([np.repeat(poodle[None], 12, axis=0), vectors[12:]]))
    order = np.arange(24).reshape(2, 12).T.ravel()
    assert search(Truth(apart.vectors[order], apart.labels[order], apart.classes), VOCABULARY).both_found == 1


def test_queries_that_nothing_matches_are_left_out() -> None:
    assert search_by([("poodle", "car")], perfect(), VOCABULARY) == ()
    (either,) = search_by([("poodle", "car")], perfect(), VOCABULARY, match_any=True)
    assert either.relevant == 24


def test_the_order_of_the_images_changes_no_figure() -> None:
    truth = perfect()
    order = np.random.default_rng(1).permutation(len(truth.labels))
    shuffled = Truth(truth.vectors[order], truth.labels[order], truth.classes)
    assert search(truth, VOCABULARY).metrics() == pytest.approx(search(shuffled, VOCABULARY).metrics())


@given(st.integers(0, 2**32))
def test_image_precision_asks_with_each_image_among_all_others(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors, labels = unit_rows(random.integers(1, 4, (14, 3))), random.integers(0, 3, 14)
    similarity = vectors @ vectors.T
    shares = []
    for one in range(14):
        others = [other for other in range(14) if other != one]
        others.sort(key=lambda other: (-similarity[one, other], other))
        same = [labels[other] == labels[one] for other in others]
        if any(same):
            shares.append(sum(same[:10]) / min(10, sum(same)))
    assert image_precision(Truth(vectors, labels[:, None], CLASSES)) == pytest.approx(np.mean(shares))


def test_images_alone_in_their_class_have_no_precision() -> None:
    assert np.isnan(image_precision(Truth(np.eye(3, dtype=np.float32), np.arange(3)[:, None], CLASSES)))
