"""What a bundle's manifest says, and nothing of how it is written down (see `manifest_json`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import exp

from model.images import Resize
from model.networks.pixel_scale import PixelScale

__all__ = [
    "FORMAT_VERSION",
    "MAX_DIMENSION",
    "MIN_DIMENSION",
    "Calibration",
    "File",
    "License",
    "Logistic",
    "Manifest",
    "bundle_id",
]

FORMAT_VERSION = 2
# Numbers in a vector: those of the words. Fewer tell words apart badly; with more, a page of them is no small message.
MIN_DIMENSION, MAX_DIMENSION = 50, 1_024
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True)
class Logistic:
    """From cosine similarity to relevance, 0…1: 1 / (1 + exp(−(slope · similarity + offset))) (Platt 1999)."""

    slope: float
    offset: float

    def __call__(self, similarity: float) -> float:
        """Returns the relevance of a similarity."""
        return 1 / (1 + exp(-(self.slope * similarity + self.offset)))


@dataclass(frozen=True)
class Calibration:
    """The curves, and the relevance below which searches and tags leave a match out by default."""

    text_to_image: Logistic
    tags: Logistic
    image_to_image: Logistic
    min_relevance: float
    min_tag_relevance: float


@dataclass(frozen=True)
class License:
    """Something that the bundle was made from, its SPDX expression, and where it is described."""

    subject: str
    spdx: str
    source: str


@dataclass(frozen=True)
class File:
    """A file of the bundle: its size in bytes and its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything about a bundle but its files' contents."""

    id: str
    display_name: str
    input_size: int
    resize: Resize
    feature_dimension: int
    dimension: int
    word_count: int
    calibration: Calibration
    files: tuple[File, ...]
    create_time: datetime
    backbone: str = "backbone.keras"  # or backbone.tflite
    head: str = "head.keras"  # or head.tflite, behind backbone.tflite
    feature_layer: str = ""  # tensor of a .tflite backbone that holds the features; empty means its output
    pixel_scale: PixelScale | None = None  # what a .tflite backbone takes float32 pixels as; None means uint8
    command: str = ""
    licenses: tuple[License, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)


def bundle_id(name: str, files: Sequence[File]) -> str:
    """Returns `name@sha256:12 hex digits`, the digits from the checksums of all files.

    Raises:
        ValueError: the name is not lower-case letters, digits, ".", "_" and "-", 1 to 63 of them.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"A bundle cannot be named {name!r}: use lower-case letters, digits, '.', '_' and '-'.")
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda each: each.name):
        digest.update(f"{file.name} {file.sha256}\n".encode())
    return f"{name}@sha256:{digest.hexdigest()[:12]}"
