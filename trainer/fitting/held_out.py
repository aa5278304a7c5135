"""How a network does on the images that are held out of its training."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from trainer.features.computing import FeatureSet
from trainer.fitting.losses import Loss
from trainer.fitting.outputs import outputs_of
from trainer.labels.space import LabelSpace

__all__ = ["HeldOut", "held_out_figures"]


class HeldOut:
    """Images (n,) of a feature set, in their first view."""

    def __init__(self, data: FeatureSet, images: NDArray[np.int64], space: LabelSpace, loss: Loss) -> None:
        self._features = data.take(images, 0)
        self._space = space
        self._loss = loss
        self.labels = data.labels[images].astype(np.int32)

    def figures(self, head: Any) -> dict[str, float]:
        """See `held_out_figures`; nothing where there is no image."""
        if not len(self.labels):
            return {}
        return held_out_figures(outputs_of(head, self._features), self.labels, self._space, self._loss)

    def nearest(self, head: Any) -> NDArray[np.int64]:
        """The label whose vector each image is nearest to, (n,)."""
        return _nearest(outputs_of(head, self._features), self._space)


def held_out_figures(
    outputs: NDArray[np.float32], labels: NDArray[np.int32], space: LabelSpace, loss: Loss
) -> dict[str, float]:
    """``held_out_loss``, every image counting the same, and ``held_out_hit@1``.

    ``outputs``: (n, dimension), not normalised. ``labels``: (n, most), padded with -1.
    """
    losses = ops.convert_to_numpy(loss(ops.convert_to_tensor(labels), ops.convert_to_tensor(outputs)))
    hits = np.any(_nearest(outputs, space)[:, None] == labels, axis=1)
    return {"held_out_loss": float(losses.mean()), "held_out_hit@1": float(np.mean(hits))}


def _nearest(outputs: NDArray[np.float32], space: LabelSpace) -> NDArray[np.int64]:
    # Not scaled to length 1, which does not change what is nearest. A training that goes wrong gives no numbers.
    with np.errstate(invalid="ignore", over="ignore"):
        nearest: NDArray[np.int64] = np.argmax(outputs @ space.vectors.T, axis=1)
    return nearest
