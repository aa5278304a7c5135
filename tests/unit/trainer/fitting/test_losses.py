"""Each loss against its formula, written out with loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.fitting.optimisation import make_loss
from trainer.fitting.settings import LossKind, LossSettings
from trainer.labels.space import LabelSpace, unit_rows

RANDOM = np.random.default_rng(7)
LABELS, CONCEPTS, DIMENSION = 5, 8, 6


def space() -> LabelSpace:
    relevance = RANDOM.random((LABELS, CONCEPTS)).astype(np.float32)
    relevance[:, -2:] = 0  # words that no picture should be found by
    return LabelSpace(
        names=tuple("abcde"),
        vectors=unit_rows(RANDOM.normal(size=(LABELS, DIMENSION))),
        concepts=unit_rows(RANDOM.normal(size=(CONCEPTS, DIMENSION))),
        relevance=relevance / relevance.sum(axis=1, keepdims=True),
    )


SPACE = space()
OUTPUTS = RANDOM.normal(size=(9, DIMENSION)).astype(np.float32)
TRUTH = RANDOM.integers(LABELS, size=9).astype(np.int32)


def losses(settings: LossSettings, outputs: NDArray[np.float32] = OUTPUTS) -> NDArray[np.float32]:
    return np.asarray(make_loss(settings, SPACE)(TRUTH[:, None], outputs))


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(logits - np.log(np.exp(logits).sum()), dtype=np.float64)


def unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(x / np.linalg.norm(x), dtype=np.float32)


def test_cosine_is_one_less_the_cosine_to_the_labels_vector() -> None:
    expected = [1 - unit(x) @ SPACE.vectors[y] for x, y in zip(OUTPUTS, TRUTH, strict=True)]
    np.testing.assert_allclose(losses(LossSettings("cosine")), expected, atol=1e-5)


def test_hinge_rank_sums_the_hinges_of_every_wrong_label() -> None:
    expected = [
        sum(max(0.0, 0.3 - unit(x) @ SPACE.vectors[y] + unit(x) @ SPACE.vectors[j]) for j in range(LABELS) if j != y)
        for x, y in zip(OUTPUTS, TRUTH, strict=True)
    ]
    np.testing.assert_allclose(losses(LossSettings("hinge-rank", margin=0.3)), expected, atol=1e-5)


def test_softmax_is_the_cross_entropy_over_scaled_cosines() -> None:
    expected = [-log_softmax(8 * SPACE.vectors @ unit(x))[y] for x, y in zip(OUTPUTS, TRUTH, strict=True)]
    np.testing.assert_allclose(losses(LossSettings("softmax", scale=8)), expected, atol=1e-4)


def test_joint_adds_the_words_that_find_a_label_and_the_cosine() -> None:
    settings = LossSettings("joint", scale=8, concept_weight=0.5, cosine_weight=2)
    softmax, cosine = losses(LossSettings("softmax", scale=8)), losses(LossSettings("cosine"))
    words = [
        -SPACE.relevance[y] @ log_softmax(8 * SPACE.concepts @ unit(x)) for x, y in zip(OUTPUTS, TRUTH, strict=True)
    ]
    np.testing.assert_allclose(losses(settings), softmax + 2 * cosine + 0.5 * np.array(words), atol=1e-4)


def test_several_labels_share_the_target_evenly() -> None:
    several = np.array([[y, (y + 1) % LABELS, -1] for y in TRUTH], dtype=np.int32)

    def of(settings: LossSettings) -> NDArray[np.float32]:
        return np.asarray(make_loss(settings, SPACE)(several, OUTPUTS))

    for number, (x, (y, z, _)) in enumerate(zip(OUTPUTS, several, strict=True)):
        mean = unit(SPACE.vectors[y] + SPACE.vectors[z])
        assert of(LossSettings("cosine"))[number] == pytest.approx(1 - unit(x) @ mean, abs=1e-5)
        likely = log_softmax(8 * SPACE.vectors @ unit(x))
        assert of(LossSettings("softmax", scale=8))[number] == pytest.approx(-(likely[y] + likely[z]) / 2, abs=1e-4)
        right = (unit(x) @ SPACE.vectors[y] + unit(x) @ SPACE.vectors[z]) / 2
        wrong = [j for j in range(LABELS) if j not in (y, z)]
        hinges = [max(0.0, 0.3 - right + unit(x) @ SPACE.vectors[j]) for j in wrong]
        assert of(LossSettings("hinge-rank", margin=0.3))[number] == pytest.approx(sum(hinges), abs=1e-5)
        words = -(SPACE.relevance[y] + SPACE.relevance[z]) / 2 @ log_softmax(8 * SPACE.concepts @ unit(x))
        joint = LossSettings("joint", scale=8, cosine_weight=0, concept_weight=0.5)
        expected = -(likely[y] + likely[z]) / 2 + 0.5 * words
        assert of(joint)[number] == pytest.approx(expected, abs=1e-4)


def by_hand(settings: LossSettings, outputs: NDArray[np.float32], labels: Sequence[Sequence[int]]) -> list[float]:
    """The formulas of `trainer.fitting.optimisation`, an image and a label at a time, in float64."""
    found = []
    for output, own in zip(outputs.astype(np.float64), labels, strict=True):
        x = output / np.linalg.norm(output)
        mean = np.mean([SPACE.vectors[y] for y in own], axis=0)
        cosine = 1 - x @ (mean / np.linalg.norm(mean))
        right = np.mean([x @ SPACE.vectors[y] for y in own])
        hinges = [max(0.0, settings.margin - right + x @ SPACE.vectors[j]) for j in range(LABELS) if j not in own]
        likely = log_softmax(settings.scale * SPACE.vectors @ x)
        softmax = -np.mean([likely[y] for y in own])
        words = -np.mean([SPACE.relevance[y] for y in own], axis=0) @ log_softmax(settings.scale * SPACE.concepts @ x)
        joint = softmax + settings.concept_weight * words + settings.cosine_weight * cosine
        found.append({"cosine": cosine, "hinge-rank": sum(hinges), "softmax": softmax, "joint": joint}[settings.kind])
    return found


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(get_args(LossKind)),
    margin=st.floats(0.01, 2),
    scale=st.floats(0.5, 40),
    weights=st.tuples(st.floats(0, 3), st.floats(0, 3)),
    labels=st.lists(st.lists(st.integers(0, LABELS - 1), min_size=1, max_size=3, unique=True), min_size=3, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_loss_matches_its_formula(
    kind: LossKind, margin: float, scale: float, weights: tuple[float, float], labels: list[list[int]], seed: int
) -> None:
    settings = LossSettings(kind, margin, scale, *weights)
    outputs = np.random.default_rng(seed).normal(size=(3, DIMENSION)).astype(np.float32)
    padded = np.array([[*own, -1, -1][:3] for own in labels], dtype=np.int32)
    found = np.asarray(make_loss(settings, SPACE)(padded, outputs))
    np.testing.assert_allclose(found, by_hand(settings, outputs, labels), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["cosine", "hinge-rank", "softmax", "joint"])
def test_only_the_direction_of_an_output_counts(kind: str) -> None:
    settings = LossSettings(kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(losses(settings, OUTPUTS * np.float32(7)), losses(settings), atol=1e-4)


def test_an_unknown_loss_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"kind\n.*input_value='l1'"):
        LossSettings(kind="l1")  # type: ignore[arg-type]
