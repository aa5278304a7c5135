"""Networks as .keras files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from trainer.errors import HeadMismatch

__all__ = ["check_head", "load_network"]


def load_network(path: Path) -> Any:
    """Read a .keras file, a head or a backbone, without what it was trained with."""
    return keras.models.load_model(path, compile=False)


def check_head(path: Path, dimension: int) -> None:
    """Refuse a head that does not lead to where the words are.

    Raises:
        HeadMismatch: its vectors have not as many numbers as the words'; the message says what to do.
    """
    width = load_network(path).output_shape[-1]
    if width != dimension:
        raise HeadMismatch(
            f"The head in {path} gives vectors of {width:,} numbers, and the words have {dimension:,} each, so it was "
            "trained for other words. Give the words that it was fitted with, or fit a head for these."
        )
