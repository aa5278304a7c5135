"""The options of what is looked at and how, as every command has them that runs a backbone over labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["FeatureLayer", "InputSize", "Sources", "Validation", "ValidationShare"]

Sources = Annotated[
    list[Path],
    typer.Argument(help="A folder per class, tar files of such, JSONL or CSV of paths and labels, or Pascal VOC."),
]
InputSize = Annotated[
    int | None, typer.Option(min=8, help="Edge of its pictures in pixels, if the backbone takes any.")
]
FeatureLayer = Annotated[str, typer.Option(help="Tensor of a .tflite backbone that the features are.")]
Validation = Annotated[list[Path] | None, typer.Option(help="Data set for validation only; may be repeated.")]
ValidationShare = Annotated[
    float, typer.Option(min=0, max=0.9, help="Share for validation where no image has a side, by content.")
]
