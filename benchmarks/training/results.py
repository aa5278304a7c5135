"""The figures of a run, and whether they meet the performance targets. All are from one run on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.bar import Bar
from benchmarks.training.features import FeatureSpeed

# The conditions of the performance targets.
_IMAGES, _CLASSES, _EPOCHS, _BACKBONE = 1_000, 20, 100, "vgg16"


@dataclass(frozen=True)
class Step:
    """A command of the trainer, and the seconds that it took."""

    command: str
    seconds: float


@dataclass(frozen=True)
class Measured:
    """The figures of a run.

    `epoch_s`: one epoch of the article's way. `steps`: this trainer's steps to the bundle. `refit_s`: another fit.
    `epochs`: the number of epochs of a fit.
    """

    backbone: str
    images: int
    classes: int
    epochs: int
    epoch_s: float
    steps: tuple[Step, ...]
    refit_s: float
    speed: FeatureSpeed

    @property
    def article_s(self) -> float:
        """Seconds of all epochs of the article's way, extrapolated from the measured one."""
        return self.epoch_s * self.epochs

    @property
    def own_s(self) -> float:
        """Seconds of all steps of this trainer."""
        return sum(step.seconds for step in self.steps)


def bars(measured: Measured) -> Iterator[Bar]:
    """Yield the performance targets with their figures."""
    as_promised = (measured.images, measured.classes, measured.epochs) == (_IMAGES, _CLASSES, _EPOCHS)
    judged = as_promised and measured.backbone == _BACKBONE
    faster = measured.article_s / measured.own_s
    yield Bar("pictures to bundle: times faster than the article's way", faster, 50, at_most=False, judged=judged)
    yield Bar("re-fit with cached features, s", measured.refit_s, 60, at_most=True, judged=judged)
    yield Bar(
        "files to cache: share of the bare network's images/s", measured.speed.ratio, 0.9, at_most=False, judged=judged
    )
