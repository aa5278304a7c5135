"""The figures of a run, for the tables and the JSON."""

from __future__ import annotations

from dataclasses import dataclass

# The library that each engine uses to propose candidates, which is also measured by itself.
PEERS = {"annoy": "Annoy", "hnsw": "usearch"}


@dataclass(frozen=True)
class Row:
    """A contender's figures at one size; None if it has no such figure or this machine cannot measure it."""

    contender: str
    parameters: str
    effort: int | None
    recall: float | None
    p50_ms: float
    p99_ms: float
    queries_per_s: float
    build_s: float | None = None
    own_mb: float | None = None
    mapped_mb: float | None = None
    disk_mb: float | None = None
    inserts_per_s: float | None = None


@dataclass(frozen=True)
class EngineFigures:
    """The figures that only the service has, for one engine at one size."""

    engine: str
    inserts_per_s: float
    disk_to_raw: float
    segments_to_raw: float
    restart_s: float | None = None
    own_mb_after_restart: float | None = None
    p99_without_ms: float | None = None
    p99_during_ms: float | None = None
    merge_s: float | None = None


@dataclass(frozen=True)
class Size:
    """All figures at one number of rows."""

    rows: int
    contenders: tuple[Row, ...]
    engines: tuple[EngineFigures, ...]

    def p50(self, contender: str) -> float | None:
        """Return a contender's median in milliseconds; None if it did not take part."""
        return next((row.p50_ms for row in self.contenders if row.contender == contender), None)

    def recall(self, contender: str) -> float | None:
        """Return a contender's recall; None if it did not take part or does not search."""
        return next((row.recall for row in self.contenders if row.contender == contender), None)


def in_process(engine: str) -> str:
    """Return the table's name of the planner with an engine."""
    return f"{engine} engine, in process"


def over_grpc(engine: str) -> str:
    """Return the table's name of the service with an engine."""
    return f"{engine} engine, gRPC"


def recall_goal(engine: str) -> str:
    """Return the name of the goal to reach the recall of the planner with an engine."""
    return f"recall as the {engine} engine"
