"""What a merge folds, chosen from a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from index_service.snapshot import Part, Segment, Snapshot


@dataclass(frozen=True)
class Thresholds:
    """When to merge; names and figures are those that Qdrant publishes."""

    full_scan_threshold: int = 10_000  # live rows that are still scanned
    deleted_threshold: float = 0.2  # share of a segment's rows that may be dead
    vacuum_min_vector_number: int = 1_000  # below so many rows, dead ones do not matter


@dataclass(frozen=True, eq=False)
class Plan:
    """Segments to fold, together with all live rows."""

    before: Snapshot
    segments: tuple[Segment, ...]
    stored: Part | None = None  # the same rows, read from the store: where the segments' own are not to be trusted

    @property
    def parts(self) -> Sequence[Part]:
        """What is folded."""
        return (*self.segments, self.before.live) if self.stored is None else (self.stored,)

    @property
    def row_count(self) -> int:
        """Rows that the new segment will have."""
        return sum(part.alive_count for part in self.parts)


def plan(snapshot: Snapshot, thresholds: Thresholds) -> Plan | None:
    """Chooses what to fold by the thresholds; None if nothing is due.

    Segments no larger than what is folded anyway join in, so that their number grows with the logarithm of the rows.
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
    """Choose everything; None if it is one segment without dead rows already, or empty."""
    dirty = any(segment.dead_count for segment in snapshot.segments) or len(snapshot.live.rows) > 0
    return Plan(snapshot, snapshot.segments) if dirty or len(snapshot.segments) > 1 else None
