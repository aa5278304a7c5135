"""Models, and the progress of pulling one and of switching to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Model:
    """A joint space of words and images."""

    id: str
    display_name: str
    dimension: int
    input_size: int
    word_count: int
    active: bool
    default_min_relevance: float
    metrics: Mapping[str, float] = field(repr=False)


@dataclass(frozen=True)
class Recipe:
    """Instructions to build a model; `download_bytes` is 0 if nothing is downloaded."""

    name: str
    model_id: str
    display_name: str
    download_bytes: int


@dataclass(frozen=True)
class PullProgress:
    """How many bytes of a model's files have been fetched; `model` is None until it is built."""

    bytes_done: int
    bytes_total: int
    model: Model | None = None


@dataclass(frozen=True)
class SwitchProgress:
    """How many words of the new model are indexed, and how many images are embedded or failed.

    `model` is None until it serves.
    """

    images_done: int
    images_total: int
    images_failed: int
    model: Model | None = None
    words_done: int = 0
    words_total: int = 0
