"""How a head does on the images that are held out of its training."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from trainer.features.computing import FeatureSet
from trainer.fitting.losses import Loss
from trainer.fitting.outputs import outputs_of
from trainer.labels.space import LabelSpace

__all__ = ["HeldOut"]


class HeldOut:
    """Images (n,) of a feature set, in their first view."""

    def __init__(self, data: FeatureSet, images: NDArray[np.int64], space: LabelSpace, loss: Loss) -> None:
        self._features = data.take(images, 0)
        self._vectors = space.vectors
        self._loss = loss
        self.labels = data.labels[images].astype(np.int32)

    def figures(self, head: Any) -> dict[str, float]:
        """``held_out_loss``, every image counting the same, and ``held_out_hit@1``; nothing where there is no image."""
        if not len(self.labels):
            return {}
        outputs = outputs_of(head, self._features)
        losses = ops.convert_to_numpy(self._loss(ops.convert_to_tensor(self.labels), outputs))
        hits = np.any(self._nearest(outputs)[:, None] == self.labels, axis=1)
        return {"held_out_loss": float(losses.mean()), "held_out_hit@1": float(np.mean(hits))}

    def nearest(self, head: Any) -> NDArray[np.int64]:
        """The label whose vector each image is nearest to, (n,)."""
        return self._nearest(outputs_of(head, self._features))

    def _nearest(self, outputs: NDArray[np.float32]) -> NDArray[np.int64]:
        # Not scaled to length 1, which does not change what is nearest. A training that goes wrong gives no numbers.
        with np.errstate(invalid="ignore", over="ignore"):
            nearest: NDArray[np.int64] = np.argmax(outputs @ self._vectors.T, axis=1)
        return nearest
