"""Vectors of classes: near to what fits, far from what does not."""

from __future__ import annotations

import numpy as np

from trainer.labels.sense_words import FittingWords
from trainer.labels.space import Vocabulary, unit_rows
from trainer.recipes.class_vectors import VectorSettings, class_vectors
from trainer.words.word_space import WordSpace

WORDS = tuple(f"word{number}" for number in range(60))
VECTORS = unit_rows(np.random.default_rng(0).normal(size=(60, 12)))
VOCABULARY = Vocabulary(WordSpace(WORDS, VECTORS))
CLASSES = [
    FittingWords(own=(WORDS[number],), kinds=(WORDS[30 + number % 3],), further=(WORDS[40 + number % 2],))
    for number in range(12)
]


def made(classes: list[FittingWords], **changed: float) -> np.ndarray:
    return class_vectors(classes, VOCABULARY, WORDS, VectorSettings(**changed))  # type: ignore[arg-type]


def test_words_that_fit_are_nearer_than_the_mean_puts_them() -> None:
    def right(vectors: np.ndarray) -> float:
        nearest = np.argsort(-vectors @ VECTORS.T, axis=1)[:, :3]
        pairs = [(each, place) for each, row in zip(CLASSES, nearest, strict=True) for place in row]
        return float(np.mean([WORDS[place] in each.words for each, place in pairs]))

    means = unit_rows(np.stack([VOCABULARY.vectors([*each.own, *each.kinds]).mean(axis=0) for each in CLASSES]))
    assert right(made(CLASSES)) > right(means)


def test_a_kind_separates_its_classes_from_the_others() -> None:
    vectors = made(CLASSES)
    for kind in range(3):
        similarity = vectors @ VOCABULARY.vectors([WORDS[30 + kind]])[0]
        assert set(np.argsort(-similarity)[:4]) == {kind, kind + 3, kind + 6, kind + 9}


def test_vectors_are_unit_reproducible_and_zero_without_words() -> None:
    vectors = made([*CLASSES, FittingWords()], steps=20)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [*[1.0] * 12, 0.0], atol=1e-6)
    np.testing.assert_allclose(made([*CLASSES, FittingWords()], steps=20), vectors, atol=1e-5)


def test_initial_vectors_average_first_name_and_nearest_kind() -> None:
    mean = unit_rows(VOCABULARY.vectors([WORDS[5], WORDS[32]]).mean(axis=0, keepdims=True))[0]
    np.testing.assert_allclose(made(CLASSES, steps=0)[5], mean, atol=1e-6)
