"""Train the starter's backbone as a classifier: `pretrain` writes `backbone.keras`, and continues where it stopped.

Progressive resizing: early epochs see small crops, late ones large ones, and 64 pixels serve (the network is
convolutional; Touvron et al. 2019 explain why larger is better at test time). The learning rate rises and falls once
per cycle (Smith 2018; restarts: Loshchilov and Hutter 2017), and a moving average of the weights is kept.

Targets are probabilities of the classes: a picture's own class gets most (label smoothing, Szegedy et al. 2015); a
teacher's probabilities, if there is one, get a fixed share (distillation, Hinton et al. 2015,
https://arxiv.org/abs/1503.02531).

After each epoch everything that the next one needs is on disk, renamed into place. An epoch's pictures, crops and order
come from its own seed, so an interrupted run ends with the same result as an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import structlog
import tensorflow as tf
from numpy.typing import NDArray

from serving.durable_files import replacing
from trainer.runs import Run
from trainer.starter.classifier import Batch, Classifier, ClassifierSettings, residual_network
from trainer.starter.pictures import Pictures, PictureSource
from trainer.starter.scene_catalog import SCENE_CLASSES

log = structlog.get_logger(__name__)
SMOOTHING = 0.1


@dataclass(frozen=True)
class Cycle:
    """Epochs by the edge of their crops in pixels, and the learning rate when a fifth of them is done."""

    crops: tuple[int, ...]
    peak_rate: float


@dataclass(frozen=True)
class PretrainSettings:
    """The order and the constants of the training.

    `teacher_share`: the teacher's share of a target; the rest is the label.
    """

    cycles: tuple[Cycle, ...] = (
        Cycle((32, 32, 32, 32, 32, 40, 40, 48, 48, 56, 56), peak_rate=0.2),
        Cycle((56, 56, 56), peak_rate=0.05),
    )
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    teacher_share: float = 0.0
    batch: int = 128
    seed: int = 7

    @property
    def crops(self) -> tuple[int, ...]:
        """The edge of each epoch's crops."""
        return tuple(edge for cycle in self.cycles for edge in cycle.crops)

    def rate(self, epochs: float) -> float:
        """Return the learning rate after some epochs: up for a fifth of a cycle, then down to almost 0."""
        for cycle in self.cycles:
            if epochs < len(cycle.crops):
                share = epochs / len(cycle.crops)
                return cycle.peak_rate * (share / 0.2 if share < 0.2 else (1 - share) / 0.8) + 1e-4
            epochs -= len(cycle.crops)
        return 1e-4


@dataclass(frozen=True)
class StartingPoint:
    """A backbone to continue from, and a teacher's probabilities of the training pictures, (n, classes)."""

    backbone: Path
    teacher: NDArray[np.float16]


@dataclass(frozen=True)
class Figures:
    """How often the right class is the first, or among the first five, of all classes: shares from 0 to 1."""

    photos_at_1: float
    photos_at_5: float
    scenes_at_1: float


def pretrain(
    source: PictureSource, folder: Path, settings: PretrainSettings, starting_point: StartingPoint | None = None
) -> Path:
    """Train on the photos and on rendered scenes, or continue, and return the path of the backbone.

    Raises:
        RunMismatch: the folder holds a training with other settings.
        TrainingSetUnusable: the photos do not exist.
    """
    target = folder / "backbone.keras"
    if not target.exists():
        train_backbone(source.training(), source.validation(), len(source.names), folder, settings, starting_point)
    return target


def train_backbone(
    training: Pictures,
    validation: Pictures,
    classes: int,
    folder: Path,
    settings: PretrainSettings,
    starting_point: StartingPoint | None = None,
) -> keras.Model:
    """Train a network, or continue from the folder's checkpoint; return it, and save it as `backbone.keras`.

    The network gives features; the layer of scores over them is dropped. Without a `starting_point` its weights are
    fresh and it learns from labels alone.
    """
    run = Run(folder, settings)
    checkpoint = folder / "checkpoint.npz"
    keras.utils.set_random_seed(settings.seed)
    backbone = keras.models.load_model(starting_point.backbone, compile=False) if starting_point else residual_network()
    targets = Targets(
        training.labels, classes, starting_point.teacher if starting_point else None, settings.teacher_share
    )
    scores = keras.layers.Dense(classes, name="scores")(backbone.output)
    classifier = Classifier(keras.Model(backbone.input, scores), settings.classifier)
    steps_an_epoch = len(training.labels) // settings.batch
    for epoch in range(classifier.restore(checkpoint), len(settings.crops)):
        started = time.monotonic()
        pace = _Pace(steps_an_epoch * len(settings.crops), classifier.steps)
        loss = classifier.train(
            _batches(training.pixels, targets, settings, epoch),
            lambda steps: settings.rate(steps / steps_an_epoch),
            pace,
        )
        with classifier.averaged() as network:
            figures = figures_of(network, validation)
        seconds = time.monotonic() - started
        line = {"crop": settings.crops[epoch], "loss": loss, **asdict(figures), "seconds": round(seconds)}
        run.record(epoch + 1, line)  # before the checkpoint: an epoch that is done again is recorded again
        classifier.save(checkpoint, epoch + 1)
        log.info("epoch", epoch=epoch + 1, of=len(settings.crops), **line)
    with classifier.averaged(), replacing(folder / "backbone.keras") as written:
        backbone.save(written)
    return keras.models.load_model(folder / "backbone.keras", compile=False)


def figures_of(network: keras.Model, pictures: Pictures) -> Figures:
    """Measure a classifier at the size that the pictures have; the last classes are those of the scenes."""
    scores = network.predict(pictures.pixels, batch_size=256, verbose=0)
    hits = np.argsort(-scores, axis=1)[:, :5] == pictures.labels[:, np.newaxis]
    drawn = pictures.labels >= scores.shape[1] - len(SCENE_CLASSES)
    return Figures(
        photos_at_1=float(hits[~drawn, 0].mean()),
        photos_at_5=float(hits[~drawn].any(axis=1).mean()),
        scenes_at_1=float(hits[drawn, 0].mean()),
    )


def _batches(pixels: NDArray[np.uint8], targets: Targets, settings: PretrainSettings, epoch: int) -> Iterator[Batch]:
    """Yield an epoch's batches: random crops of 35 to 100 % of the area, half of them mirrored."""
    rng = np.random.default_rng((settings.seed, epoch))
    order = rng.permutation(len(pixels))
    edge = settings.crops[epoch]
    for start in range(0, len(order) - settings.batch + 1, settings.batch):
        chosen = order[start : start + settings.batch]
        yield (
            _crop(tf.constant(pixels[chosen]), tf.constant(_boxes(rng, len(chosen))), edge),
            tf.constant(targets.of(chosen)),
        )


def _boxes(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return random crop boxes (count, 4) as shares of the picture: top, left, bottom, right; left > right mirrors."""
    area, ratio = rng.uniform(0.35, 1.0, count), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), count))
    height, width = np.minimum(np.sqrt(area / ratio), 1), np.minimum(np.sqrt(area * ratio), 1)
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    sides = np.stack([left, left + width], axis=1)
    sides = np.where(rng.random((count, 1)) < 0.5, sides[:, ::-1], sides)
    return np.stack([top, sides[:, 0], top + height, sides[:, 1]], axis=1).astype(np.float32)


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
def _crop(pixels: tf.Tensor, boxes: tf.Tensor, edge: int) -> tf.Tensor:
    floats = tf.cast(pixels, tf.float32)
    return tf.image.crop_and_resize(floats, boxes, tf.range(tf.shape(boxes)[0]), (edge, edge))


class _Pace:
    """Logs the mean loss and the time of a step every hundred steps."""

    def __init__(self, of: int, first: int) -> None:
        self._of = of
        self._first = first
        self._started = time.monotonic()
        self._losses: list[float] = []

    def __call__(self, steps: int, loss: float) -> None:
        self._losses.append(loss)
        if steps % 100 == 0:
            pace = 1000 * (time.monotonic() - self._started) / (steps - self._first)
            log.info(
                "step", step=steps, of=self._of, loss=round(float(np.mean(self._losses[-100:])), 3), ms=round(pace)
            )


@dataclass(frozen=True)
class Targets:
    """The pictures' labels (n), and a teacher's probabilities, (n, classes), with their share."""

    labels: NDArray[np.int64]
    classes: int
    teacher: NDArray[np.float16] | None = None
    teacher_share: float = 0.0

    def of(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the targets of some pictures, by position."""
        targets = np.full((len(chosen), self.classes), SMOOTHING / self.classes, np.float32)
        targets[np.arange(len(chosen)), self.labels[chosen]] += 1 - SMOOTHING
        if self.teacher is None:
            return targets
        taught = self.teacher[chosen].astype(np.float32)
        taught /= taught.sum(axis=1, keepdims=True)  # float16 rounds
        mixed: NDArray[np.float32] = (1 - self.teacher_share) * targets + self.teacher_share * taught
        return mixed
