"""A head's settings from a TOML file, and from options of the command, which come before it.

    hidden = [2000]
    dropout = 0.2
    patience = 5
    class_weights = "balanced"

    [loss]
    kind = "hinge-rank"
    margin = 0.1

Contract: the keys are the fields of HeadSettings and, under ``loss``, of LossSettings; what is left out has its
default. A key that there is not, a value of another type, and one out of range are refused, all at once and by name.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rapidfuzz import process

from trainer.errors import SettingsUnusable
from trainer.fitting.settings import HeadSettings, LossSettings

__all__ = ["head_settings"]

_NAMES = [field.name for field in fields(HeadSettings)] + [f"loss.{field.name}" for field in fields(LossSettings)]
# What the command minimises unless told otherwise: of the losses the one that words are found by best.
_DEFAULTS: Mapping[str, Any] = {"loss": {"kind": "joint"}}


def head_settings(file: Path | None, options: Mapping[str, Any], dimension: int) -> HeadSettings:
    """The settings that a file and options say; None among the options says nothing.

    ``dimension``: that of the words, which the head's follows.

    Raises:
        SettingsUnusable: the file cannot be read, or it or an option says what is not possible; the message names it.
    """
    told = {} if file is None else _read(file)
    merged = _merged(_merged({**_DEFAULTS, "dimension": dimension}, told), options)
    try:
        # As JSON, in which "3" and true are no numbers, and a list may be what has no own notation.
        settings = TypeAdapter(HeadSettings).validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        wrong = "; ".join(_described(each) for each in error.errors())
        raise SettingsUnusable(f"{file or 'What the options say'} cannot be used: {wrong}.") from error
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
        return f"{key} is no setting" + (f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(_NAMES)}")
    message = error["msg"]
    return f"{key} is {json.dumps(error['input'])}: {message[0].lower()}{message[1:]}"
