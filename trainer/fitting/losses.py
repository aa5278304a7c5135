"""What a fit minimises: a loss over a label space.

Contract: losses compare directions only; outputs need not be normalised. An image may have several labels.

Losses, for a unit vector x of an image with the labels Y, label vectors L and concepts C (all unit, see LabelSpace);
mean is over Y, and unit(v) = v / |v|. With one label y they are the formulas of the literature:

    cosine      1 − x·unit(mean L_y)                                       (the original's)
    hinge-rank  Σ_{j∉Y} max(0, margin − mean x·L_y + x·L_j)                (DeViSE, Frome et al. 2013, eq. 1)
    softmax     −mean log softmax(scale · x·Lᵀ)_y                          (as NormFace, Wang et al. 2017)
    joint       softmax + concept_weight · CE(mean relevance_y, softmax(scale · x·Cᵀ)) + cosine_weight · cosine
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from trainer.fitting.settings import LossSettings
from trainer.labels.space import LabelSpace

__all__ = ["Loss", "make_loss"]

Loss = Callable[[Any, Any], Any]
"""(labels (n, most), padded with -1, and head outputs (n, dimension)) → losses (n,)."""


def make_loss(settings: LossSettings, space: LabelSpace) -> Loss:
    """The loss that the settings name, over a label space."""
    vectors, concepts, relevance = space.vectors, space.concepts, space.relevance

    def cosine(labels: Any, outputs: Any) -> Any:
        wanted = _unit(_mean(labels, lambda numbers: ops.take(vectors, numbers, axis=0)))
        return 1.0 - ops.sum(_unit(outputs) * wanted, axis=-1)

    def hinge_rank(labels: Any, outputs: Any) -> Any:
        similarity = ops.matmul(_unit(outputs), vectors.T)
        right = _mean(labels, lambda numbers: ops.take_along_axis(similarity, numbers, axis=1)[:, :, None])
        wrong = 1.0 - ops.max(ops.one_hot(labels, len(vectors)), axis=1)  # -1 is no class: a row of zeros
        return ops.sum(wrong * ops.relu(settings.margin - right + similarity), axis=-1)

    def softmax(labels: Any, outputs: Any) -> Any:
        likely = ops.log_softmax(settings.scale * ops.matmul(_unit(outputs), vectors.T))
        return -_mean(labels, lambda numbers: ops.take_along_axis(likely, numbers, axis=1)[:, :, None])[:, 0]

    def concept_softmax(labels: Any, outputs: Any) -> Any:
        logits = settings.scale * ops.matmul(_unit(outputs), concepts.T)
        wanted = _mean(labels, lambda numbers: ops.take(relevance, numbers, axis=0))
        return keras.losses.categorical_crossentropy(wanted, logits, from_logits=True)

    def joint(labels: Any, outputs: Any) -> Any:
        total = softmax(labels, outputs) + settings.cosine_weight * cosine(labels, outputs)
        return total + settings.concept_weight * concept_softmax(labels, outputs)

    chosen = {"cosine": cosine, "hinge-rank": hinge_rank, "softmax": softmax, "joint": joint}[settings.kind]
    # Keras hands labels over in the outputs' dtype.
    return lambda labels, outputs: chosen(ops.cast(labels, "int32"), outputs)


def _mean(labels: Any, of: Callable[[Any], Any]) -> Any:
    """The mean (n, d) over each image's labels of what (n, most, d) is told of their numbers."""
    there = ops.cast(labels >= 0, "float32")[:, :, None]
    return ops.sum(there * of(ops.maximum(labels, 0)), axis=1) / ops.sum(there, axis=1)


def _unit(outputs: Any) -> Any:
    return ops.normalize(outputs, axis=-1, order=2)
