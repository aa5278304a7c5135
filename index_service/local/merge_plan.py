"""The choice of what a merge folds, made from a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from index_service.local.snapshot import Part, Segment, Snapshot


@dataclass(frozen=True)
class Thresholds:
    """When to merge; names and defaults are those of Qdrant."""

    full_scan_threshold: int = 10_000  # this many live rows are merged, fewer are scanned
    deleted_threshold: float = 0.2  # share of dead rows at which a segment is merged
    vacuum_min_vector_number: int = 1_000  # segments with fewer rows are not merged for their dead ones


@dataclass(frozen=True, eq=False)
class Plan:
    """Segments to fold, together with all live rows."""

    before: Snapshot
    segments: tuple[Segment, ...]
    stored: Part | None = None  # the same rows from the store, if the segments' own cannot be trusted

    @property
    def parts(self) -> Sequence[Part]:
        """The parts to fold."""
        return (*self.segments, self.before.live) if self.stored is None else (self.stored,)

    @property
    def row_count(self) -> int:
        """The number of rows of the new segment."""
        return sum(part.alive_count for part in self.parts)


def plan(snapshot: Snapshot, thresholds: Thresholds) -> Plan | None:
    """Choose what to fold by the thresholds; None if nothing is due.

    Segments no larger than what is already chosen are folded too, so that the number of segments grows only
    logarithmically with the rows.
    """
    crowded = [
        segment
        for segment in snapshot.segments
        if len(segment.rows) >= thresholds.vacuum_min_vector_number
        and segment.dead_count >= thresholds.deleted_threshold * len(segment.rows)
    ]
    if len(snapshot.live.rows) < thresholds.full_scan_threshold and not crowded:
        return None
    chosen = list(crowded)
    total = sum(part.alive_count for part in (*chosen, snapshot.live))
    for segment in sorted(snapshot.segments, key=lambda each: each.alive_count):
        if segment not in crowded and segment.alive_count <= total:
            chosen.append(segment)
            total += segment.alive_count
    return Plan(snapshot, tuple(chosen))


def plan_all(snapshot: Snapshot) -> Plan | None:
    """Choose everything; None if the index is empty, or already one segment without dead rows."""
    dirty = any(segment.dead_count for segment in snapshot.segments) or len(snapshot.live.rows) > 0
    return Plan(snapshot, snapshot.segments) if dirty or len(snapshot.segments) > 1 else None
