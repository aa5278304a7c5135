"""Indexes of the index service, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class IndexSummary:
    """An index; `repairs` lists damage that is not repaired yet, or why the index cannot be opened.

    `live_item_count` were added since the last merge, at `last_merge_time`; None if all items are such.
    """

    name: str
    item_count: int
    dimension: int
    model_id: str
    aliases: tuple[str, ...]
    segment_count: int
    disk_bytes: int
    repairs: tuple[str, ...]
    recall_target: float
    measured_recall: float
    live_item_count: int
    last_merge_time: datetime | None


@dataclass(frozen=True)
class Damage:
    """A damaged part of an index, and whether a rebuild repairs it."""

    part: str
    problem: str
    rebuild_repairs: bool


@dataclass(frozen=True)
class CheckReport:
    """The result of a check."""

    name: str
    item_count: int
    segment_count: int
    damages: tuple[Damage, ...]


@dataclass(frozen=True)
class Progress:
    """The number of items done, and their total."""

    done: int
    total: int
