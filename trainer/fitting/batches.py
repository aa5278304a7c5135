"""The batches that a head is trained on, and its figures on held-out images.

Contract: which images are in a batch, in which order and view, follows from (seed, epoch) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from trainer.errors import TrainingSetUnusable
from trainer.features.feature_set import FeatureSet
from trainer.fitting.optimisation import Loss
from trainer.fitting.settings import HeadSettings
from trainer.labels.space import LabelSpace

_OUTPUTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Split:
    """Positions of images, (n,) int64 each: those for training and the held-out ones."""

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def split_images(data: FeatureSet, settings: HeadSettings) -> Split:
    """Split images as the data set says, or else hold out a random share.

    Raises:
        TrainingSetUnusable: no image is left to train on, or none to monitor a training that may end early.
    """
    if data.validation is not None:
        split = Split(np.flatnonzero(~data.validation), np.flatnonzero(data.validation))
    else:
        order = np.random.default_rng(settings.seed).permutation(len(data))
        held_out = int(len(data) * settings.held_out)
        split = Split(train=np.sort(order[held_out:]), held_out=np.sort(order[:held_out]))
    if not len(split.train):
        raise TrainingSetUnusable("All images are for validation, so there is none to train on. Give training images.")
    if settings.patience and not len(split.held_out):
        raise TrainingSetUnusable(
            "Training cannot end early, as no image is held out for it. Hold some out (held_out, or a validation "
            "set of `features`), or set patience to 0."
        )
    return split


def balanced_weights(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how much each image counts so that every class counts the same: (n,), their mean is 1.

    `labels`: (n, most), padded with -1. A class weighs the inverse of its number of images, an image the mean of its
    classes.
    """
    there = labels >= 0
    inverse = 1 / np.maximum(1, np.bincount(labels[there]))
    weights = np.where(there, inverse[labels], 0).sum(axis=1) / there.sum(axis=1)
    return np.asarray(weights / weights.mean(), dtype=np.float32)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """The batches of one epoch at a time: features, labels, and weights if needed."""

    def __init__(self, data: FeatureSet, images: NDArray[np.int64], settings: HeadSettings, parts: int = 1) -> None:
        """Prepare the first epoch.

        `parts`: the number of equal parts that a batch must divide into; images of weight 0 pad it.
        """
        super().__init__()
        self._data = data
        self._images = images
        self._settings = settings
        self._parts = parts
        self._weighted = settings.class_weights == "balanced" or parts > 1
        self._weights = np.ones(len(data), dtype=np.float32)
        if settings.class_weights == "balanced":
            self._weights[images] = balanced_weights(data.labels[images])
        self.shuffle(1)

    def shuffle(self, epoch: int) -> None:
        """Put images and views into an epoch's order."""
        random = np.random.default_rng((self._settings.seed, epoch))
        order, size = random.permutation(self._images), self._settings.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        self._batches = [(batch, random.integers(self._data.views, size=len(batch))) for batch in batches]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        """Return (b, features) float32, (b, most) int32 and, where images do not weigh the same, (b,) float32."""
        batch, views = self._batches[number]
        features, labels = self._data.take(batch, views), self._data.labels[batch].astype(np.int32)
        if not self._weighted:
            return features, labels
        lacking = -len(batch) % self._parts
        repeated = np.pad(np.arange(len(batch)), (0, lacking))
        # The loss is divided by the number of images, padding included.
        weights = np.pad(self._weights[batch] * (len(repeated) / len(batch)), (0, lacking))
        return features[repeated], labels[repeated], weights.astype(np.float32)


class HeldOut:
    """Images (n,) of a feature set, in their first view."""

    def __init__(self, data: FeatureSet, images: NDArray[np.int64], space: LabelSpace, loss: Loss) -> None:
        self._features = data.take(images, 0)
        self._space = space
        self._loss = loss
        self.labels = data.labels[images].astype(np.int32)

    def figures(self, head: Any) -> dict[str, float]:
        """Return the `held_out_figures`; empty without images."""
        if not len(self.labels):
            return {}
        return held_out_figures(outputs_of(head, self._features), self.labels, self._space, self._loss)

    def nearest(self, head: Any) -> NDArray[np.int64]:
        """Return the label whose vector each image is nearest to, (n,)."""
        return _nearest(outputs_of(head, self._features), self._space)


def held_out_figures(
    outputs: NDArray[np.float32], labels: NDArray[np.int32], space: LabelSpace, loss: Loss
) -> dict[str, float]:
    """Return `held_out_loss`, every image counting the same, and `held_out_hit@1`.

    `outputs`: (n, dimension), not normalised. `labels`: (n, most), padded with -1.
    """
    losses = ops.convert_to_numpy(loss(ops.convert_to_tensor(labels), ops.convert_to_tensor(outputs)))
    hits = np.any(_nearest(outputs, space)[:, None] == labels, axis=1)
    return {"held_out_loss": float(losses.mean()), "held_out_hit@1": float(np.mean(hits))}


def _nearest(outputs: NDArray[np.float32], space: LabelSpace) -> NDArray[np.int64]:
    # Not scaled to length 1, which does not change the nearest. A diverged training gives NaN.
    with np.errstate(invalid="ignore", over="ignore"):
        nearest: NDArray[np.int64] = np.argmax(outputs @ space.vectors.T, axis=1)
    return nearest


def outputs_of(head: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs (n, dimension) of a head, not normalised, of features (n, features), n ≥ 1."""
    # Called directly: `predict` builds a pipeline and traces a function first, which takes longer than the images.
    starts = range(0, len(features), _OUTPUTS_AT_ONCE)
    return np.concatenate(
        [ops.convert_to_numpy(head(features[start : start + _OUTPUTS_AT_ONCE], training=False)) for start in starts]
    )
