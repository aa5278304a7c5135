"""On what a head is trained, and in which precision: Keras's own means for both."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import tensorflow as tf

from trainer.fitting.settings import Devices, Precision

__all__ = ["device_names", "dtype_policy", "shared_among"]


def device_names() -> tuple[str, ...]:
    """What TensorFlow computes on: the GPUs, or the processor where there is none."""
    return tuple(device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices())


def dtype_policy(precision: Precision) -> str:
    """The name of Keras's dtype policy for hidden layers."""
    if precision != "auto":
        return precision
    return "mixed_float16" if tf.config.list_logical_devices("GPU") else "float32"


def shared_among(devices: Devices) -> AbstractContextManager[object]:
    """Within it, what is built is trained on all devices, each of which gets its part of every batch."""
    names = device_names()
    if devices == "one" or len(names) == 1:
        return nullcontext()
    # keras.distribution is for JAX; on TensorFlow, Keras trains under the strategy that a network was built in.
    scope: AbstractContextManager[object] = tf.distribute.MirroredStrategy(names).scope()
    return scope
