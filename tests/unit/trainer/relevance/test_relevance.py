"""Curves and thresholds on a made-up space, and the data kept apart to report on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.trainer.made_up_space import CLASSES, TAGGABLE, VOCABULARY, perfect, space
from trainer.errors import EvaluationImpossible
from trainer.labels.space import Vocabulary
from trainer.relevance.calibration import LogisticCurve, Pairs
from trainer.relevance.fitting import fit_relevance, image_halves, is_for_fitting, word_halves
from trainer.relevance.thresholds import far_words, search_effects, tag_effects
from trainer.words.word_space import WordSpace

# Words on an axis that no image has, some of each half.
FOREIGN = tuple(f"galaxy{number}" for number in range(20))
HALF = np.arange(160) % 2 == 0


def with_foreign_words() -> tuple[Vocabulary, np.ndarray]:
    vectors = np.concatenate([space().vectors, np.tile(np.eye(8, dtype=np.float16)[6:7], (len(FOREIGN), 1))])
    taggable = np.concatenate([TAGGABLE, np.ones(len(FOREIGN), dtype=bool)])
    return Vocabulary(WordSpace((*space().words, *FOREIGN), vectors)), taggable


def test_thresholds_empty_foreign_queries_and_keep_right_images() -> None:
    """Words on axes that no image has are unanswerable; images are near to their own words."""
    vocabulary, taggable = with_foreign_words()
    relevance = fit_relevance(perfect(40), vocabulary, taggable, HALF)
    assert relevance.searches.empty >= 0.9
    assert relevance.searches.kept > 0.95
    assert relevance.tags.kept > 0.9
    for curve in (relevance.text_to_image, relevance.tag, relevance.image_to_image):
        assert curve.slope > 0
        assert float(curve(np.array(0.95))) > 0.5 > float(curve(np.array(0.0)))


def test_the_reporting_half_changes_no_curve_or_threshold() -> None:
    vocabulary, taggable = with_foreign_words()
    truth = perfect(40)
    turned = truth.vectors.copy()
    wrong = ~HALF & truth.shows[:, 0]
    turned[wrong] = truth.vectors[truth.shows[:, 3]][: wrong.sum()]
    one, other = (fit_relevance(each, vocabulary, taggable, HALF) for each in (truth, replace(truth, vectors=turned)))
    assert one.text_to_image == other.text_to_image
    assert one.tag == other.tag
    assert one.image_to_image == other.image_to_image
    assert one.searches.min_relevance == other.searches.min_relevance
    assert one.tags.kept != other.tags.kept


def test_relevance_needs_a_right_word_near_some_image() -> None:
    foreign_only = np.array([word == "the" for word in space().words])
    with pytest.raises(EvaluationImpossible, match="only one of the two"):
        fit_relevance(perfect(40), VOCABULARY, foreign_only, HALF)


def test_a_vocabulary_without_foreign_words_is_refused() -> None:
    with pytest.raises(EvaluationImpossible, match="larger vocabulary"):
        fit_relevance(perfect(40), VOCABULARY, TAGGABLE, HALF)


def test_a_half_depends_on_the_thing_alone() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (200, 4, 4, 3), dtype=np.uint8)
    halves = image_halves(pictures)
    assert 60 < halves.sum() < 140
    assert image_halves(pictures[::-1]).tolist() == halves[::-1].tolist()
    assert word_halves(["dog", "sofa"]).tolist() == [is_for_fitting(b"dog"), is_for_fitting(b"sofa")]


def test_far_words_are_those_that_no_class_is_near_to() -> None:
    vocabulary, _ = with_foreign_words()
    assert far_words(("the", "dog", "galaxy1"), CLASSES, vocabulary) == ("the", "galaxy1")
    assert far_words(("dog",), CLASSES, vocabulary) == ()


def test_search_bars_count_words_by_what_reaches_the_threshold() -> None:
    """At a cosine of 0.9 every label and kind has a right image on top and galaxies have none."""
    vocabulary, _ = with_foreign_words()
    curve = LogisticCurve(10.0, -9.0)
    bars = search_effects(perfect(), vocabulary, FOREIGN, curve, min_relevance=0.5)
    assert (bars.empty, bars.on_top, bars.in_five) == (1, 1, 1)
    assert (bars.unanswerable, bars.answerable, bars.images) == (20, 6, 48)
    never = search_effects(perfect(), vocabulary, FOREIGN, curve, min_relevance=0.99)
    assert (never.empty, never.on_top, never.in_five, never.kept) == (1, 0, 0, 0)
    always = search_effects(perfect(), vocabulary, FOREIGN, curve, min_relevance=0.0)
    assert (always.empty, always.on_top, always.kept) == (0, 1, 1)


def test_effects_need_images_and_empty_answers_foreign_words() -> None:
    bars = search_effects(perfect(), VOCABULARY, (), LogisticCurve(1.0, 0.0), 0.5)
    assert np.isnan(bars.empty)
    assert bars.on_top == 1
    with pytest.raises(EvaluationImpossible, match="Add images"):
        search_effects(perfect(0), VOCABULARY, (), LogisticCurve(1.0, 0.0), 0.5)


def test_tag_bars_are_shares_of_wrong_and_of_right_words() -> None:
    pairs = Pairs(np.array([0.1, 0.6, 0.7, 0.8], np.float32), np.array([0.2, 0.9], np.float32))
    assert tag_effects(pairs, LogisticCurve(1.0, -0.5), min_relevance=0.5) == (0.5, 0.75)
