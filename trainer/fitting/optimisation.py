"""The loss, the optimiser and the devices of a fit.

The optimiser is AdamW (Loshchilov and Hutter 2019), with the learning rate falling to 0 by a cosine. Losses compare
directions only, so outputs need not be normalised. An image may have several labels.

Losses, for a unit vector x of an image with the labels Y, label vectors L and concepts C (all unit, see LabelSpace);
mean is over Y, and unit(v) = v / |v|. With one label y they are the formulas of the literature:

    cosine      1 − x·unit(mean L_y)                                       (the original's)
    hinge-rank  Σ_{j∉Y} max(0, margin − mean x·L_y + x·L_j)                (DeViSE, Frome et al. 2013, eq. 1)
    softmax     −mean log softmax(scale · x·Lᵀ)_y                          (as NormFace, Wang et al. 2017)
    joint       softmax + concept_weight · CE(mean relevance_y, softmax(scale · x·Cᵀ)) + cosine_weight · cosine
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from trainer.fitting.settings import Devices, HeadSettings, LossSettings, Precision
from trainer.labels.space import LabelSpace

Loss = Callable[[Any, Any], Any]
"""(labels (n, most), padded with -1, and head outputs (n, dimension)) → losses (n,)."""
# Below, compiling takes longer than it saves.
_MANY_WEIGHTS = 1_000_000


def make_loss(settings: LossSettings, space: LabelSpace) -> Loss:
    """Return the loss that the settings name, over a label space."""
    # As tensors once, not at every call: NumPy arrays would be copied, or become constants of each traced graph.
    vectors, concepts, relevance = map(ops.convert_to_tensor, (space.vectors, space.concepts, space.relevance))
    labels_across, concepts_across = ops.transpose(vectors), ops.transpose(concepts)

    def cosine(labels: Any, outputs: Any) -> Any:
        wanted = _unit(_mean(labels, lambda numbers: ops.take(vectors, numbers, axis=0)))
        return 1.0 - ops.sum(_unit(outputs) * wanted, axis=-1)

    def hinge_rank(labels: Any, outputs: Any) -> Any:
        similarity = ops.matmul(_unit(outputs), labels_across)
        right = _mean(labels, lambda numbers: ops.take_along_axis(similarity, numbers, axis=1)[:, :, None])
        wrong = 1.0 - ops.max(ops.one_hot(labels, len(space.vectors)), axis=1)  # -1 is no class: a row of zeros
        return ops.sum(wrong * ops.relu(settings.margin - right + similarity), axis=-1)

    def softmax(labels: Any, outputs: Any) -> Any:
        likely = ops.log_softmax(settings.scale * ops.matmul(_unit(outputs), labels_across))
        return -_mean(labels, lambda numbers: ops.take_along_axis(likely, numbers, axis=1)[:, :, None])[:, 0]

    def concept_softmax(labels: Any, outputs: Any) -> Any:
        logits = settings.scale * ops.matmul(_unit(outputs), concepts_across)
        wanted = _mean(labels, lambda numbers: ops.take(relevance, numbers, axis=0))
        return keras.losses.categorical_crossentropy(wanted, logits, from_logits=True)

    def joint(labels: Any, outputs: Any) -> Any:
        total = softmax(labels, outputs) + settings.cosine_weight * cosine(labels, outputs)
        return total + settings.concept_weight * concept_softmax(labels, outputs)

    chosen = {"cosine": cosine, "hinge-rank": hinge_rank, "softmax": softmax, "joint": joint}[settings.kind]
    # Keras hands labels over in the outputs' dtype.
    return lambda labels, outputs: chosen(ops.cast(labels, "int32"), outputs)


def _mean(labels: Any, of: Callable[[Any], Any]) -> Any:
    """Return the mean (n, d) over each image's labels of what `of` gives for their numbers, (n, most, d)."""
    there = ops.cast(labels >= 0, "float32")[:, :, None]
    return ops.sum(there * of(ops.maximum(labels, 0)), axis=1) / ops.sum(there, axis=1)


def _unit(outputs: Any) -> Any:
    return ops.normalize(outputs, axis=-1, order=2)


def new_optimiser(settings: HeadSettings, steps: int, weights: int, devices: int) -> Any:
    """Return an optimiser for a number of steps, weights and devices."""
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    kind = _Fused if weights >= _MANY_WEIGHTS and devices == 1 else keras.optimizers.AdamW
    optimiser = kind(rate, weight_decay=settings.weight_decay, name="adamw")
    optimiser.exclude_from_weight_decay(var_names=["bias"])
    return optimiser


class _Fused(keras.optimizers.AdamW):  # type: ignore[misc]  # Keras has no types
    """The same arithmetic in one pass over the weights (XLA), where TensorFlow takes a dozen.

    With 4,096 → 2,000 → 300 numbers and 256 images a step takes 0.071 s instead of 0.100. Entirely in XLA it takes
    0.233, since XLA does not use oneDNN for matrix products.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """See Keras; called once, when Keras traces its step."""
        apply = super().apply

        @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
        def fused(*given: Any) -> None:
            apply(given, trainable_variables)

        fused(*grads)


def training_devices(devices: Devices) -> tuple[str, ...]:
    """Return the names of the devices to train on: one or all of the GPUs, or the processor if there is none."""
    there = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in there[: 1 if devices == "one" else None])


def dtype_policy(precision: Precision) -> str:
    """Return the name of Keras's dtype policy for hidden layers."""
    if precision != "auto":
        return precision
    return "mixed_float16" if tf.config.list_logical_devices("GPU") else "float32"


def shared_among(devices: Sequence[str]) -> AbstractContextManager[object]:
    """Return a context in which networks are built for all devices; each gets an equal part of every batch."""
    if len(devices) == 1:
        return nullcontext()
    # keras.distribution is for JAX; on TensorFlow, Keras trains under the strategy that a network was built in.
    scope: AbstractContextManager[object] = tf.distribute.MirroredStrategy(devices).scope()
    return scope
