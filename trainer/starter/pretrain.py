"""Trains the starter's backbone as a classifier: `pretrain` writes `backbone.keras`, and goes on where it stopped.

Progressive resizing: early epochs see small crops, late ones large ones, and 64 pixels serve (the network is
convolutional; Touvron et al. 2019 explain why larger is better at test time). SGD with Nesterov momentum and a
one-cycle rate, label smoothing, and a moving average of the weights, which is what is kept.

After each epoch everything that the next one needs is on disk, renamed into place; an epoch's pictures, crops and order
come from its own seed, so that a run that was interrupted ends as one that was not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # 1.3 to 2 times as fast here; must be set before the import

import keras
import numpy as np
import structlog
import tensorflow as tf
from numpy.typing import NDArray

from trainer.backbones.residual import residual_network
from trainer.starter.pixels import Pictures, class_names, training_pictures, validation_pictures

__all__ = ["PretrainSettings", "pretrain"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PretrainSettings:
    """Epochs by the edge of their crops in pixels, and the constants of the optimiser."""

    crops: tuple[int, ...] = (32, 32, 32, 32, 32, 40, 40, 48)
    batch: int = 128
    peak_rate: float = 0.2
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    average: float = 0.998
    seed: int = 7


def pretrain(photos: Path, run: Path, settings: PretrainSettings) -> Path:
    """Trains, or goes on with the training, and returns the path of the backbone."""
    target = run / "backbone.keras"
    if target.exists():
        return target
    training = training_pictures(photos, run / "pictures")
    validation = validation_pictures(photos, run / "pictures")
    keras.utils.set_random_seed(settings.seed)
    backbone = residual_network()
    scores = keras.layers.Dense(len(class_names(photos)), name="scores")(keras.layers.Dropout(0.1)(backbone.output))
    steps = len(settings.crops) * (len(training.labels) // settings.batch)
    trainee = _Trainee(keras.Model(backbone.input, scores), steps, settings)
    first = trainee.restore(run / "checkpoint.npz")
    for epoch in range(first, len(settings.crops)):
        started = time.monotonic()
        loss = trainee.epoch(_batches(training, settings, epoch))
        trainee.save(run / "checkpoint.npz", epoch + 1)
        with trainee.averaged() as model:
            hits = _hits(model, validation)
        line = {"epoch": epoch + 1, "of": len(settings.crops), "crop": settings.crops[epoch], "loss": round(loss, 4)}
        line |= {"hit@1": round(hits[0], 4), "hit@5": round(hits[1], 4), "seconds": round(time.monotonic() - started)}
        log.info("epoch", **line)
        with (run / "pretrain.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    with trainee.averaged():
        backbone.save(run / "partial.keras")
    (run / "partial.keras").replace(target)
    return target


def _batches(pictures: Pictures, settings: PretrainSettings, epoch: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yields an epoch's batches: random crops of 35 to 100 % of the area, half of them mirrored."""
    rng = np.random.default_rng((settings.seed, epoch))
    order = rng.permutation(len(pictures.labels))
    edge = settings.crops[epoch]
    for start in range(0, len(order) - settings.batch + 1, settings.batch):
        chosen = order[start : start + settings.batch]
        yield (
            _augment(tf.constant(pictures.pixels[chosen]), tf.constant(_boxes(rng, len(chosen))), edge),
            tf.constant(pictures.labels[chosen]),
        )


def _boxes(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Returns random crop boxes (count, 4) as shares of the picture: top, left, bottom, right; left > right mirrors."""
    area, ratio = rng.uniform(0.35, 1.0, count), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), count))
    height, width = np.minimum(np.sqrt(area / ratio), 1), np.minimum(np.sqrt(area * ratio), 1)
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    sides = np.stack([left, left + width], axis=1)
    sides = np.where(rng.random((count, 1)) < 0.5, sides[:, ::-1], sides)
    return np.stack([top, sides[:, 0], top + height, sides[:, 1]], axis=1).astype(np.float32)


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
def _augment(pixels: tf.Tensor, boxes: tf.Tensor, edge: int) -> tf.Tensor:
    floats = tf.cast(pixels, tf.float32)
    return tf.image.crop_and_resize(floats, boxes, tf.range(tf.shape(boxes)[0]), (edge, edge))


class _Trainee:
    """A classifier with its optimiser's state and the moving average of its weights."""

    def __init__(self, model: keras.Model, steps: int, settings: PretrainSettings) -> None:
        self._model = model
        self._settings = settings
        self._steps = steps
        self._loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing)
        self._optimizer = keras.optimizers.SGD(0.0, momentum=0.9, nesterov=True)
        self._optimizer.build(model.trainable_variables)
        self._average = [variable.numpy() for variable in model.weights]
        self._step_function = tf.function(self._step, reduce_retracing=True)
        self._done = 0

    def epoch(self, batches: Iterator[tuple[tf.Tensor, tf.Tensor]]) -> float:
        """Trains on the batches and returns their mean loss."""
        losses = []
        started, first = time.monotonic(), self._done
        for pixels, labels in batches:
            self._optimizer.learning_rate.assign(self._rate())
            losses.append(float(self._step_function(pixels, labels)))
            self._done += 1
            if self._done % 10 == 0:
                self._blend(self._settings.average**10)
            if self._done % 100 == 0:
                pace = (time.monotonic() - started) / (self._done - first)
                log.info(
                    "step",
                    step=self._done,
                    of=self._steps,
                    loss=round(float(np.mean(losses[-100:])), 3),
                    ms=round(1000 * pace),
                )
        return float(np.mean(losses))

    def averaged(self) -> _Swapped:
        """Puts the averaged weights into the model for the length of a `with`."""
        return _Swapped(self._model, self._average)

    def save(self, path: Path, epochs: int) -> None:
        """Writes everything that the next epoch needs."""
        arrays: dict[str, Any] = {"epochs": epochs, "done": self._done}
        for name, values in (
            ("weight", [each.numpy() for each in self._model.weights]),
            ("optimizer", [each.numpy() for each in self._optimizer.variables]),
            ("average", self._average),
        ):
            arrays |= {f"{name}{index}": value for index, value in enumerate(values)}
        temporary = path.with_suffix(".partial.npz")
        np.savez(temporary, **arrays)
        temporary.replace(path)

    def restore(self, path: Path) -> int:
        """Takes up a checkpoint if there is one, and returns how many epochs are done."""
        if not path.exists():
            return 0
        with np.load(path) as stored:
            for index, variable in enumerate(self._model.weights):
                variable.assign(stored[f"weight{index}"])
            for index, variable in enumerate(self._optimizer.variables):
                variable.assign(stored[f"optimizer{index}"])
            self._average = [stored[f"average{index}"] for index in range(len(self._average))]
            self._done = int(stored["done"])
            return int(stored["epochs"])

    def _rate(self) -> float:
        """One cycle (Smith 2018): up for a fifth of the steps, then down to nothing."""
        share = self._done / self._steps
        return self._settings.peak_rate * (share / 0.2 if share < 0.2 else max(1 - share, 0) / 0.8) + 1e-4

    def _blend(self, keep: float) -> None:
        for index, variable in enumerate(self._model.weights):
            self._average[index] = keep * self._average[index] + (1 - keep) * variable.numpy()

    def _step(self, pixels: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            scores = self._model(pixels, training=True)
            loss = self._loss(tf.one_hot(labels, scores.shape[-1]), scores)
        variables = self._model.trainable_variables
        gradients = tape.gradient(loss, variables)
        decayed = [
            gradient + self._settings.weight_decay * variable if len(variable.shape) > 1 else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        self._optimizer.apply_gradients(zip(decayed, variables, strict=True))
        return loss


class _Swapped:
    """The model with other weights, for the length of a `with`."""

    def __init__(self, model: keras.Model, weights: list[NDArray[np.float32]]) -> None:
        self._model = model
        self._weights = weights

    def __enter__(self) -> keras.Model:
        self._own = [variable.numpy() for variable in self._model.weights]
        self._assign(self._weights)
        return self._model

    def __exit__(self, *_: object) -> None:
        self._assign(self._own)

    def _assign(self, weights: list[NDArray[np.float32]]) -> None:
        for variable, value in zip(self._model.weights, weights, strict=True):
            variable.assign(value)


def _hits(model: keras.Model, pictures: Pictures) -> tuple[float, float]:
    """Returns hit@1 and hit@5 of the photos among all classes, at the size that serves."""
    photos = pictures.labels < pictures.labels.max() - 19
    scores = model.predict(pictures.pixels[photos], batch_size=256, verbose=0)
    ranks = np.argsort(-scores, axis=1)[:, :5] == pictures.labels[photos][:, None]
    return float(ranks[:, 0].mean()), float(ranks.any(axis=1).mean())


def main() -> None:
    """`python -m trainer.starter.pretrain PHOTOS RUN`."""
    import sys

    pretrain(Path(sys.argv[1]), Path(sys.argv[2]), PretrainSettings())


if __name__ == "__main__":
    main()
