"""Networks as .keras files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

__all__ = ["load_network"]


def load_network(path: Path) -> Any:
    """Read a .keras file, a head or a backbone, without what it was trained with."""
    return keras.models.load_model(path, compile=False)
