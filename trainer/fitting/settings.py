"""Settings of a head and of its training: frozen, checked once, written into the run's folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

__all__ = ["HeadSettings", "LossKind", "LossSettings"]

LossKind = Literal["cosine", "hinge-rank", "softmax", "joint"]


@dataclass(frozen=True)
class LossSettings:
    """Which loss, and its constants; see ``trainer.fitting.head`` for the formulas.

    ``margin`` belongs to hinge-rank (0.1 in DeViSE). ``scale`` is the inverse temperature of the softmaxes over
    cosines. ``concept_weight`` and ``cosine_weight`` are the joint loss's shares beside the softmax over labels.
    """

    kind: LossKind = "cosine"
    margin: float = 0.1
    scale: float = 20.0
    concept_weight: float = 1.0
    cosine_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(LossKind):
            raise ValueError(f"loss {self.kind!r} is unknown; choose one of {', '.join(get_args(LossKind))}")
        if min(self.margin, self.scale) <= 0 or min(self.concept_weight, self.cosine_weight) < 0:
            raise ValueError("margin and scale must be greater than 0, weights not negative")


@dataclass(frozen=True)
class HeadSettings:
    """The head's layers and how they are trained (AdamW, cosine decay of the learning rate to 0).

    ``hidden`` are the widths of the layers before the last; ``held_out`` is the share of the images that
    is kept back to watch the training, never trained on, where the data set does not say which.
    """

    hidden: tuple[int, ...] = ()
    dimension: int = 300
    activation: str = "relu"
    dropout: float = 0.0
    loss: LossSettings = field(default_factory=LossSettings)
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.dimension, self.epochs, self.batch_size, *self.hidden) < 1:
            raise ValueError("dimension, epochs, batch size and widths must be at least 1")
        if not (0 <= self.dropout < 1 and 0 <= self.held_out < 1):
            raise ValueError("dropout and held_out are shares from 0 to less than 1")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError("the learning rate must be greater than 0, weight decay not negative")
