"""The options that several commands share, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Sources = Annotated[
    list[Path],
    typer.Argument(help="A folder per class, tar files of such, JSONL or CSV of paths and labels, or Pascal VOC."),
]
InputSize = Annotated[
    int | None, typer.Option(min=8, help="Edge of its pictures in pixels, if the backbone takes any.")
]
FeatureLayer = Annotated[str, typer.Option(help="Tensor of a .tflite backbone that gives the features.")]
Validation = Annotated[list[Path] | None, typer.Option(help="Data set for validation only; may be repeated.")]
ValidationShare = Annotated[
    float, typer.Option(min=0, max=0.9, help="Share for validation if no image has a side, by content.")
]
PixelMean = Annotated[
    str,
    typer.Option(
        help="For a .tflite file that takes float32 without metadata: (pixel - mean) / std. One number or three."
    ),
]
PixelStd = Annotated[str, typer.Option(help="The std of that: one number, or three between commas (red,green,blue).")]
Labels = Annotated[Path | None, typer.Option(help="JSON with each class's words; without it folders name them.")]
Synonyms = Annotated[
    Path | None, typer.Option(help='JSON {"label": "word or words", …} for labels that get no vector by their name.')
]
Words = Annotated[Path, typer.Option(help="Folder with words.txt and words.npy.")]
NearestKinds = Annotated[int, typer.Option(min=0, help="Kinds in a label's vector, in addition to its word.")]
