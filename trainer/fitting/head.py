"""The head: features of a backbone → vectors of the joint space.

Contract: a head maps float32 (n, features) to float32 (n, dimension), not normalised; the caller scales the rows to
length 1 (the bundle's graph does). The same settings, features and seed give the same head, whether or not the training
was interrupted: all randomness comes from (seed, epoch).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainingDiverged
from trainer.features.feature_set import FeatureSet
from trainer.fitting.batches import Batches, HeldOut, outputs_of, split_images
from trainer.fitting.optimisation import dtype_policy, make_loss, new_optimiser, shared_among, training_devices
from trainer.fitting.settings import HeadSettings, best_epoch, is_over
from trainer.labels.space import LabelSpace, unit_rows
from trainer.runs import Run, newest_epoch, restore_checkpoint, write_checkpoint

OnEpoch = Callable[[int, dict[str, float]], None]

_EPSILON = 1e-12
_STATISTICS_FROM = 20_000
# Writing 100 MB of weights and optimiser takes a third of the time of an epoch of a thousand images.
_CHECKPOINT_SECONDS = 10.0


def build_head(settings: HeadSettings, features: int) -> Any:
    """Return an untrained head: standardised features, hidden layers with dropout, a linear layer into the space."""
    policy = dtype_policy(settings.precision)
    inputs = x = keras.Input((features,), name="features")
    # Frozen, so that it only applies statistics: those of the training set, which `fit_head` computes once. Moving
    # averages would lag in a training of few steps.
    x = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=_EPSILON, trainable=False, name="standardise"
    )(x)
    for number, width in enumerate(settings.hidden, start=1):
        x = _dense(width, settings.seed + number, settings.activation, f"hidden_{number}", policy)(x)
        x = keras.layers.Dropout(settings.dropout, seed=settings.seed + number, dtype=policy, name=f"dropout_{number}")(
            x
        )
    outputs = _dense(settings.dimension, settings.seed, None, "space", "float32")(x)
    return keras.Model(inputs, outputs, name="head")


def _dense(width: int, seed: int, activation: str | None, name: str, policy: str) -> Any:
    initial = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(width, activation=activation, kernel_initializer=initial, dtype=policy, name=name)


def fit_head(
    run: Run,
    data: FeatureSet,
    space: LabelSpace,
    settings: HeadSettings,
    on_epoch: OnEpoch = lambda epoch, figures: None,
) -> Any:
    """Train a head, starting from the run's last checkpoint; return it trained, in float32.

    `on_epoch` gets the number of epochs done and their last figures: `loss`, the mean over the epoch's batches, and of
    the images held out `held_out_loss` and `held_out_hit@1`. An exception from it ends the training there.

    Raises:
        TrainingDiverged: the loss is no longer a finite number; the last checkpoint is kept.
        TrainingSetUnusable: there is no image to train on, or none to monitor a training that may end early.
        NotWritten: the disk is full or refuses.
    """
    split = split_images(data, settings)
    devices = training_devices(settings.devices)
    batches = Batches(data, split.train, settings, len(devices))
    loss = make_loss(settings.loss, space)
    with shared_among(devices):
        head = build_head(settings, data.dimension)
        steps = len(batches) * settings.epochs
        head.compile(new_optimiser(settings, steps, head.count_params(), len(devices)), loss=loss)
        head.optimizer.build(head.trainable_variables)
    _standardise(head, data, split.train)
    done = newest_epoch(run.folder)
    if done:
        restore_checkpoint(head, run.folder, done)
    if not is_over(run.history()[:done], settings):
        every_epoch = _EveryEpoch(run, batches, HeldOut(data, split.held_out, space, loss), settings, on_epoch)
        head.fit(batches, initial_epoch=done, epochs=settings.epochs, shuffle=False, verbose=0, callbacks=[every_epoch])
    best = best_epoch(run.history(), settings)
    if best != newest_epoch(run.folder):
        restore_checkpoint(head, run.folder, best)
    return _in_float32(head, settings, data.dimension)


class _EveryEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Shuffles each epoch, stops when the loss is not finite, measures, records, and decides whether to continue."""

    def __init__(
        self, run: Run, batches: Batches, held_out: HeldOut, settings: HeadSettings, on_epoch: OnEpoch
    ) -> None:
        super().__init__()
        self._run = run
        self._batches = batches
        self._held_out = held_out
        self._settings = settings
        self._on_epoch = on_epoch
        self._epoch = 0
        self._written = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Shuffle the batches; Keras counts epochs from 0, this package from 1."""
        self._epoch = epoch + 1
        self._batches.shuffle(self._epoch)
        _reseed_dropout(self.model, self._epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Check the loss, which is the mean of the epoch so far; `batch` is counted from 0."""
        self._check(logs["loss"], f"step {batch + 1} of {len(self._batches)}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the epoch, and write a checkpoint: an interrupted run repeats the epochs after the newest one."""
        figures = {"loss": float(logs["loss"])} | self._held_out.figures(self.model)
        self._check(figures.get("held_out_loss", 0.0), "on the images held out")
        self._run.record(self._epoch, figures)
        history = self._run.history()
        best, over = best_epoch(history, self._settings), is_over(history, self._settings)
        is_best = self._settings.patience > 0 and best == self._epoch
        if over or is_best or time.monotonic() - self._written >= _CHECKPOINT_SECONDS:
            write_checkpoint(self.model, self._run.folder, self._epoch, {best})
            self._written = time.monotonic()
        self._on_epoch(self._epoch, figures)
        self.model.stop_training = over

    def _check(self, loss: float, where: str) -> None:
        if np.isfinite(loss):
            return
        rate = self._settings.learning_rate
        before = newest_epoch(self._run.folder)
        folder = self._run.folder
        kept = f" With --start-from {folder} it continues from epoch {before}, which is kept." if before else ""
        raise TrainingDiverged(
            f"The loss became {loss} in epoch {self._epoch}, {where}, so training cannot continue. "
            f"Lower the learning rate, which is {rate:g}, to {rate / 10:g}, and name another folder for the run.{kept}"
        )


def _standardise(head: Any, data: FeatureSet, images: NDArray[np.int64]) -> None:
    features = data.take(images[:: -(-len(images) // _STATISTICS_FROM)])
    variance = features.var(axis=0)
    layer = head.get_layer("standardise")
    layer.moving_mean.assign(features.mean(axis=0))
    # A feature that hardly varies here stays small elsewhere too: no variance counts as less than 1 % of the mean one.
    layer.moving_variance.assign(np.maximum(variance, 0.01 * variance.mean()))


def _reseed_dropout(head: Any, epoch: int) -> None:
    """Make dropout depend on the epoch alone: Keras leaves its generators' state out of what it saves."""
    for layer in head.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign([layer.seed, epoch])


def _in_float32(head: Any, settings: HeadSettings, features: int) -> Any:
    """Return the same head without optimiser or loss, however it was trained."""
    plain = build_head(replace(settings, precision="float32"), features)
    plain.set_weights(head.get_weights())
    return plain


def project(head: Any, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return the unit vectors (n, dimension) of features (n, features)."""
    return unit_rows(outputs_of(head, np.asarray(features, dtype=np.float32)))


def save_head(head: Any, path: Path) -> None:
    """Write the head as a .keras file, without optimiser or loss."""
    stripped = keras.Model(head.inputs[0], head.outputs[0], name="head")
    stripped.save(path)
