"""On what a head is trained, and in which precision: Keras's own means for both."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import tensorflow as tf

from trainer.fitting.settings import Devices, Precision

__all__ = ["dtype_policy", "shared_among", "training_devices"]


def training_devices(devices: Devices) -> tuple[str, ...]:
    """The names of what a head is trained on: the GPUs, or the processor where there is none; of them one or all."""
    there = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in there[: 1 if devices == "one" else None])


def dtype_policy(precision: Precision) -> str:
    """The name of Keras's dtype policy for hidden layers."""
    if precision != "auto":
        return precision
    return "mixed_float16" if tf.config.list_logical_devices("GPU") else "float32"


def shared_among(devices: Sequence[str]) -> AbstractContextManager[object]:
    """Within it, what is built is trained on all devices, each of which gets an equal part of every batch."""
    if len(devices) == 1:
        return nullcontext()
    # keras.distribution is for JAX; on TensorFlow, Keras trains under the strategy that a network was built in.
    scope: AbstractContextManager[object] = tf.distribute.MirroredStrategy(devices).scope()
    return scope
