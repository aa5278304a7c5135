"""What an index consists of, and what a check of it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from index_service.definition import IndexDefinition
from index_service.engines.contract import Tuned
from index_service.errors import IndexServiceError


@dataclass(frozen=True)
class SegmentStats:
    """A segment, and how it is searched for the index's recall target."""

    row_count: int
    deleted_row_count: int
    tuned: Tuned
    written_nanoseconds: int


@dataclass(frozen=True)
class RecallMeasurement:
    """When the recall of an index on a cluster was measured, and with how many searches."""

    queries: int
    nanoseconds: int  # since 1970, UTC


@dataclass(frozen=True)
class Stats:
    """What an index consists of.

    `repairs`: damage that was found and is not repaired yet. `recall`: the measured recall@10 over all items; items
    that an exact scan compares count as found. `measurement`: of an index on a cluster; None before the first one.
    """

    item_count: int
    segment_count: int
    segment_row_count: int
    live_row_count: int
    deleted_row_count: int
    disk_bytes: int
    segment_disk_bytes: int
    repairs: tuple[str, ...]
    recall: float
    segments: tuple[SegmentStats, ...]
    measurement: RecallMeasurement | None = None


@dataclass(frozen=True)
class DamagedIndex:
    """An index that could not be opened, and why."""

    name: str
    problem: IndexServiceError


# The part of an index that nothing else can replace.
STORE = "store"


@dataclass(frozen=True)
class Damage:
    """A problem, and whether rebuilding all segments from the store repairs it."""

    part: str
    problem: str
    rebuild_repairs: bool


@dataclass(frozen=True)
class CheckProgress:
    """The number of items checked so far, and of all items."""

    done: int
    total: int


@dataclass(frozen=True)
class CheckReport:
    """The damage found, and what was checked."""

    damages: tuple[Damage, ...]
    item_count: int
    segment_count: int


CheckStep: TypeAlias = CheckProgress | CheckReport


@dataclass(frozen=True)
class HeldIndex:
    """An index of a snapshot: its definition, and the aliases that named it."""

    definition: IndexDefinition
    aliases: tuple[str, ...]
