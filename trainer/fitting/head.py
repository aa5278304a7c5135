"""The head: features of a backbone → vectors of the joint space.

Contract: a head maps float32 (n, features) to float32 (n, dimension), not normalised; whoever uses it scales the
rows to length 1 (the bundle's graph does). The same settings, features and seed give
the same head, whether or not the training was interrupted: all randomness comes from (seed, epoch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from trainer.features.computing import FeatureSet
from trainer.fitting.losses import make_loss
from trainer.fitting.settings import HeadSettings, LossSettings
from trainer.labels.space import LabelSpace, unit_rows
from trainer.runs import Run

__all__ = ["build_head", "fit_head", "project", "save_head"]

_EPSILON = 1e-12
_STATISTICS_FROM = 20_000


def build_head(settings: HeadSettings, features: int) -> Any:
    """An untrained head: standardised features, hidden layers with dropout, a linear layer into the space."""
    inputs = x = keras.Input((features,), name="features")
    # Frozen, so that it only applies statistics: those of the training set, which `fit_head` computes once. Moving
    # averages would lag behind in a training of few steps.
    x = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=_EPSILON, trainable=False, name="standardise"
    )(x)
    for number, width in enumerate(settings.hidden, start=1):
        x = _dense(width, settings.seed + number, settings.activation, f"hidden_{number}")(x)
        x = keras.layers.Dropout(settings.dropout, seed=settings.seed + number)(x)
    outputs = _dense(settings.dimension, settings.seed, None, "space")(x)
    return keras.Model(inputs, outputs, name="head")


def _dense(width: int, seed: int, activation: str | None, name: str) -> Any:
    initial = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(width, activation=activation, kernel_initializer=initial, name=name)


@dataclass(frozen=True)
class _Split:
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def fit_head(
    run: Run,
    data: FeatureSet,
    space: LabelSpace,
    settings: HeadSettings,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, figures: None,
) -> Any:
    """Train a head, going on from the run's last checkpoint; returns it trained.

    A checkpoint is written after every epoch to a temporary name and renamed (the commit point); it holds weights
    and optimiser. ``on_epoch`` gets the number of epochs done and their last figures: ``loss``,
    and of the images held out ``held_out_loss`` and ``held_out_hit@1``.
    """
    head = build_head(settings, data.dimension)
    split = _split(data, settings)
    steps = -(-len(split.train) // settings.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps * settings.epochs)
    optimiser = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    optimiser.exclude_from_weight_decay(var_names=["bias"])
    head.compile(optimiser, loss=make_loss(settings.loss, space))
    optimiser.build(head.trainable_variables)
    _standardise(head, data, split.train)
    done = _restore(head, run.folder)
    for epoch in range(done + 1, settings.epochs + 1):
        head.reset_metrics()
        _reseed_dropout(head, epoch)
        figures: dict[str, float] = {}
        for features, labels in _batches(data, split.train, settings, epoch):
            figures = head.train_on_batch(features, labels, return_dict=True)
        figures = {name: float(value) for name, value in figures.items()}
        figures |= _held_out_figures(head, data, split.held_out, space, settings.loss)
        run.record(epoch, figures)
        _checkpoint(head, run.folder, epoch)
        on_epoch(epoch, figures)
    return head


def _split(data: FeatureSet, settings: HeadSettings) -> _Split:
    if data.validation is not None:
        return _Split(np.flatnonzero(~data.validation), np.flatnonzero(data.validation))
    order = np.random.default_rng(settings.seed).permutation(len(data))
    held_out = int(len(data) * settings.held_out)
    return _Split(train=np.sort(order[held_out:]), held_out=np.sort(order[:held_out]))


def _standardise(head: Any, data: FeatureSet, images: NDArray[np.int64]) -> None:
    features = data.take(images[:: -(-len(images) // _STATISTICS_FROM)])
    variance = features.var(axis=0)
    layer = head.get_layer("standardise")
    layer.moving_mean.assign(features.mean(axis=0))
    # A feature that hardly varies here stays small elsewhere too: no variance counts as less than 1 % of the mean one.
    layer.moving_variance.assign(np.maximum(variance, 0.01 * variance.mean()))


def _batches(
    data: FeatureSet, images: NDArray[np.int64], settings: HeadSettings, epoch: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    random = np.random.default_rng((settings.seed, epoch))
    order = random.permutation(images)
    for start in range(0, len(order), settings.batch_size):
        batch = order[start : start + settings.batch_size]
        views = random.integers(data.views, size=len(batch))
        yield data.take(batch, views), data.labels[batch].astype(np.int32)


def _held_out_figures(
    head: Any, data: FeatureSet, images: NDArray[np.int64], space: LabelSpace, settings: LossSettings
) -> dict[str, float]:
    if not len(images):
        return {}
    labels = data.labels[images].astype(np.int32)
    outputs = head.predict(data.take(images, 0), batch_size=1024, verbose=0)
    losses = ops.convert_to_numpy(make_loss(settings, space)(ops.convert_to_tensor(labels), outputs))
    nearest = np.argmax(unit_rows(outputs) @ space.vectors.T, axis=1)
    return {
        "held_out_loss": float(losses.mean()),
        "held_out_hit@1": float(np.mean(np.any(nearest[:, None] == labels, axis=1))),
    }


def _reseed_dropout(head: Any, epoch: int) -> None:
    """Make dropout depend on the epoch alone: Keras leaves its generators' state out of what it saves."""
    for layer in head.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign([layer.seed, epoch])


def _checkpoint(head: Any, folder: Path, epoch: int) -> None:
    earlier = list(folder.glob("epoch-*.weights.h5"))
    path = folder / f"epoch-{epoch:04d}.weights.h5"
    written = folder / "writing.weights.h5"
    head.save_weights(written)
    written.replace(path)
    for old in earlier:
        old.unlink()


def _restore(head: Any, folder: Path) -> int:
    """Load the newest checkpoint, if there is one; the number of epochs done."""
    checkpoints = sorted(folder.glob("epoch-*.weights.h5"))
    if not checkpoints:
        return 0
    head.load_weights(checkpoints[-1])
    return int(checkpoints[-1].name.split("-")[1].split(".")[0])


def project(head: Any, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The unit vectors (n, dimension) of features (n, features)."""
    return unit_rows(head.predict(np.asarray(features, dtype=np.float32), batch_size=1024, verbose=0))


def save_head(head: Any, path: Path) -> None:
    """Write the head as a .keras file, without optimiser or loss."""
    stripped = keras.Model(head.inputs, head.outputs, name="head")
    stripped.save(path)
