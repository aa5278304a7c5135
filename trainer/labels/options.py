"""The options that say what labels are called, as every command has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Labels", "NearestKinds", "Synonyms", "Words"]

Labels = Annotated[Path | None, typer.Option(help="JSON with each class's words; without it folders name them.")]
Synonyms = Annotated[
    Path | None, typer.Option(help='JSON {"label": "word or words", …} for labels that get no vector by their name.')
]
Words = Annotated[Path, typer.Option(help="Folder with words.txt and words.npy.")]
NearestKinds = Annotated[int, typer.Option(min=0, help="Kinds in a label's vector, beside its word.")]
