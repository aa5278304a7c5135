"""Settings of a head and of its training: checked, read from TOML and from options, written as TOML.

    hidden = [2000]
    dropout = 0.2
    patience = 5
    class_weights = "balanced"

    [loss]
    kind = "hinge-rank"
    margin = 0.1

Contract: the keys are the fields of HeadSettings and, under `loss`, of LossSettings; a missing key has its default, and
options override the file. An unknown key, a value of another type, and one out of range are refused, all at once and by
name.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from rapidfuzz import process

from trainer.errors import SettingsUnusable
from trainer.runs import write_lines

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
# The command's default: the loss with the best searches by word.
_DEFAULTS: Mapping[str, Any] = {"loss": {"kind": "joint"}}
# The words give the dimension, and the feature set the held-out images: `fit` knows both.
_LEFT_OUT = ("dimension", "held_out")
History = Sequence[Mapping[str, Any]]
"""An entry for each epoch done, from the first; all have the `watched` figure."""


@dataclass(frozen=True, config=_CONFIG)
class LossSettings:
    """Which loss, and its constants; see `trainer.fitting.optimisation` for the formulas.

    `margin` belongs to hinge-rank (0.1 in DeViSE). `scale` is the inverse temperature of the softmaxes over cosines.
    `concept_weight` and `cosine_weight` are the joint loss's weights relative to the softmax over labels.
    """

    kind: LossKind = "cosine"
    margin: _Positive = 0.1
    scale: _Positive = 20.0
    concept_weight: _NotNegative = 1.0
    cosine_weight: _NotNegative = 1.0


@dataclass(frozen=True, config=_CONFIG)
class HeadSettings:
    """The head's layers and how they are trained (AdamW, cosine decay of the learning rate to 0).

    `hidden` are the widths of the layers before the last; `held_out` is the share of the images that is held out to
    monitor the training, if the data set does not define it.
    `patience`: the training ends when this number of epochs in a row did not improve the `watched` figure, and the head
    is that of the best epoch; 0 trains all epochs, and the head is that of the last.
    `class_weights`: "balanced" makes every class count the same, however many images it has.
    `precision`: of the hidden layers' arithmetic; "auto" is mixed_float16 on a GPU, float32 elsewhere.
    `devices`: "all" shares each batch among the GPUs of the machine.
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


_NAMES = [field.name for field in fields(HeadSettings)] + [f"loss.{field.name}" for field in fields(LossSettings)]


def head_settings(file: Path | None, options: Mapping[str, Any], dimension: int) -> HeadSettings:
    """Return the settings from a file and options; an option that is None is ignored.

    `dimension`: the words' dimension, which becomes the head's.

    Raises:
        SettingsUnusable: the file cannot be read, or it or an option has an invalid value; the message names it.
    """
    from_file = {} if file is None else _read(file)
    merged = _merged(_merged({**_DEFAULTS, "dimension": dimension}, from_file), options)
    try:
        # Validated as JSON, so that "3" and true are not numbers, and a list may stand for a tuple.
        settings = TypeAdapter(HeadSettings).validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        wrong = "; ".join(_described(each) for each in error.errors())
        raise SettingsUnusable(f"{file or 'The options'} cannot be used: {wrong}.") from error
    if settings.dimension != dimension:
        raise SettingsUnusable(
            f"{file} cannot be used: dimension is {settings.dimension}, and the words have {dimension} numbers each. "
            "Leave it out."
        )
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsUnusable(f"{file} cannot be read ({error.strerror}).") from error
    except ValueError as error:  # TOML's and UTF-8's
        raise SettingsUnusable(f"{file} is not TOML: {error}.") from error


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        beneath = merged.get(key)
        if isinstance(value, Mapping) and isinstance(beneath, Mapping):
            merged[key] = _merged(beneath, value)
        elif value is not None:
            merged[key] = value
    return merged


def _described(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "unexpected_keyword_argument":
        near = process.extractOne(key, _NAMES, score_cutoff=70)
        return f"{key} is not a setting" + (
            f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(_NAMES)}"
        )
    message = error["msg"]
    return f"{key} is {json.dumps(error['input'])}: {message[0].lower()}{message[1:]}"


def write_head_file(path: Path, settings: HeadSettings, remark: str) -> None:
    """Write the settings, their loss as the table `[loss]`, below a remark of one line.

    Raises:
        NotWritten: the disk is full or refuses.
    """
    kept = {key: value for key, value in asdict(settings).items() if key not in _LEFT_OUT}
    write_lines(path, [f"# {remark}", *tomli_w.dumps(kept).splitlines()])


def best_epoch(history: History, settings: HeadSettings) -> int:
    """Return the epoch whose head is kept, the first of equal ones; 0 if none is done yet."""
    if not history or not settings.patience:
        return len(history)
    sign = -1 if settings.watched == "held_out_hit@1" else 1
    return 1 + min(range(len(history)), key=lambda number: sign * history[number][settings.watched])


def is_over(history: History, settings: HeadSettings) -> bool:
    """Return whether all epochs are done, or as many after the best one as `patience` allows."""
    done = len(history)
    waited = settings.patience and done - best_epoch(history, settings) >= settings.patience
    return done >= settings.epochs or bool(waited)
