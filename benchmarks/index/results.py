"""What a run measured, as it is drawn and as it is written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PEERS", "EngineFigures", "Row", "Size", "in_process", "like", "over_grpc"]

# The library within each engine that proposes, and which is also measured by itself.
PEERS = {"annoy": "Annoy", "hnsw": "usearch"}


@dataclass(frozen=True)
class Row:
    """A contender at one size; None is what it does not have, or what this machine cannot tell."""

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
    """What only the service has, for one engine at one size."""

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
    """Everything measured with one number of rows."""

    rows: int
    contenders: tuple[Row, ...]
    engines: tuple[EngineFigures, ...]

    def p50(self, contender: str) -> float | None:
        """Return a contender's median in milliseconds, None where it did not take part."""
        return next((row.p50_ms for row in self.contenders if row.contender == contender), None)

    def recall(self, contender: str) -> float | None:
        """Return a contender's recall, None where it did not take part or does not search."""
        return next((row.recall for row in self.contenders if row.contender == contender), None)


def in_process(engine: str) -> str:
    """Names the planner with an engine in the table."""
    return f"{engine} engine, in process"


def over_grpc(engine: str) -> str:
    """Name the service with an engine in the table."""
    return f"{engine} engine, gRPC"


def like(engine: str) -> str:
    """Name the recall that the planner with an engine had."""
    return f"recall as the {engine} engine"
