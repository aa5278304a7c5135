"""An image file with its labels: what every kind of data set is read as."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.errors import TrainingSetUnusable

__all__ = ["SUFFIXES", "LabelledFile", "Split", "read_bytes", "split_of"]

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

Split = Literal["train", "validation"]
_SPLITS: dict[str, Split | None] = {"": None, "train": "train", "val": "validation", "validation": "validation"}


@dataclass(frozen=True)
class LabelledFile:
    """An image file: where it was found, its bytes, the names of its classes (each once), and its side if it has one.

    Only an annotation without objects leaves an image without labels.
    """

    key: str
    content: bytes
    labels: tuple[str, ...]
    split: Split | None = None

    @property
    def digest(self) -> bytes:
        """What tells whether two files are the same image: the SHA-256 of their bytes."""
        return hashlib.sha256(self.content).digest()

    @property
    def label(self) -> str:
        """The name of its class, where only images of one class will do.

        Raises:
            TrainingSetUnusable: it has several, or none.
        """
        if len(self.labels) != 1:
            named = ", ".join(self.labels) or "none"
            raise TrainingSetUnusable(
                f"The image {self.key} has {len(self.labels)} labels ({named}), and is to be measured by one. "
                "Leave it out, or name the one that it is to be measured by."
            )
        return self.labels[0]


def split_of(text: str | None) -> Split | None:
    """The side that a data set's file names: train, val or validation; nothing is no side.

    Raises:
        ValueError: it is another word.
    """
    try:
        return _SPLITS[(text or "").strip().lower()]
    except KeyError:
        raise ValueError(f"the split {text!r} is neither train nor validation") from None


def read_bytes(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        TrainingSetUnusable: the file system does not give them; what the bytes are is seen later.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrainingSetUnusable(
            f"The file {path} cannot be opened ({error.strerror}). Make it readable, or take it out of the data set."
        ) from error
