"""Settings of a head and of its training: frozen, checked once, written into the run's folder.

Contract: a value out of range, or of another type, is refused when the settings are made, by the name of its key.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

__all__ = ["ClassWeights", "Devices", "HeadSettings", "LossKind", "LossSettings", "Precision", "Watched"]

LossKind = Literal["cosine", "hinge-rank", "softmax", "joint"]
ClassWeights = Literal["none", "balanced"]
Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
Devices = Literal["one", "all"]
Watched = Literal["held_out_loss", "held_out_hit@1"]

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
_Count = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=_CONFIG)
class LossSettings:
    """Which loss, and its constants; see ``trainer.fitting.losses`` for the formulas.

    ``margin`` belongs to hinge-rank (0.1 in DeViSE). ``scale`` is the inverse temperature of the softmaxes over
    cosines. ``concept_weight`` and ``cosine_weight`` are the joint loss's shares beside the softmax over labels.
    """

    kind: LossKind = "cosine"
    margin: _Positive = 0.1
    scale: _Positive = 20.0
    concept_weight: _NotNegative = 1.0
    cosine_weight: _NotNegative = 1.0


@dataclass(frozen=True, config=_CONFIG)
class HeadSettings:
    """The head's layers and how they are trained (AdamW, cosine decay of the learning rate to 0).

    ``hidden`` are the widths of the layers before the last; ``held_out`` is the share of the images that
    is kept back to watch the training, never trained on, where the data set does not say which.
    ``patience``: the training ends when so many epochs in a row did not improve what is ``watched``, and the head is
    that of the best epoch; 0 trains all epochs, and the head is that of the last.
    ``class_weights``: "balanced" makes every class count the same, however many images it has.
    ``precision``: of the hidden layers' arithmetic; "auto" is mixed_float16 where there is a GPU, float32 elsewhere.
    ``devices``: "all" shares each batch among the GPUs of the machine.
    """

    hidden: tuple[_Count, ...] = ()
    dimension: _Count = 300
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    dropout: _Share = 0.0
    loss: LossSettings = field(default_factory=LossSettings)
    epochs: _Count = 20
    batch_size: _Count = 256
    learning_rate: _Positive = 1e-3
    weight_decay: _NotNegative = 1e-4
    held_out: _Share = 0.1
    patience: Annotated[int, Field(ge=0)] = 0
    watched: Watched = "held_out_loss"
    class_weights: ClassWeights = "none"
    precision: Precision = "auto"
    devices: Devices = "one"
    seed: Annotated[int, Field(ge=0)] = 0
