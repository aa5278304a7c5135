"""The search plan of a segment: the effort that reaches a requested recall, and when to compare all rows instead.

An approximate engine has one parameter, its effort. After each build, the recall and the cost of several efforts and
the cost of comparing all rows are measured (`tuning`) and stored in `plan.json` with the engine's other files. Searches
only look up the plan.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from index_service.engines.contract import Tuned
from index_service.storage import lacks_handles

PLAN_FILE = "plan.json"
FORMAT_VERSION = 2
# Numbers of neighbours for which searches are measured; values for other numbers are interpolated.
KS = (10, 100)
# The sample is small, so every plan aims beyond the requested recall by at least this margin.
LEAST_MARGIN = 0.15
# Measured times vary: an engine that is hardly faster than comparing all rows may turn out slower.
_MAX_COST_SHARE = 0.75


class UnusablePlan(Exception):
    """A plan cannot be read; its message says why."""


@dataclass(frozen=True)
class Point:
    """The measurements of an effort for each of `KS`: recall, and milliseconds of one query."""

    effort: int
    recalls: tuple[float, ...]
    milliseconds: tuple[float, ...]


@dataclass(frozen=True)
class Plan:
    """The measurements of a segment.

    `points`: by ascending effort; recalls do not fall. `scan_milliseconds`: time to compare all rows with one query;
    `batch_scan_milliseconds`: time per query to compare all rows with many queries. `held_out`: positions that the
    engine's files leave out, because their rows were the queries; a search compares all of them. `margin`: how far a
    search aims beyond the requested recall, as a share of the distance to 1. `recall`: recall@10 of `queries` further
    queries at the index's `target`.
    """

    components: int
    target: float
    points: tuple[Point, ...] = ()
    scan_milliseconds: float = 0.0
    batch_scan_milliseconds: float = 0.0
    held_out: tuple[int, ...] = ()
    recall: float = 1.0
    queries: int = 0
    margin: float = LEAST_MARGIN

    def effort(self, k: int, recall: float, queries: int = 1) -> int | None:
        """Return the least effort that reaches a recall of the `k` nearest; None to compare all rows instead."""
        needed = self._needed(k, recall)
        if needed is None:
            return None
        effort, milliseconds = needed
        scan = self.batch_scan_milliseconds + (self.scan_milliseconds - self.batch_scan_milliseconds) / max(1, queries)
        return effort if milliseconds < _MAX_COST_SHARE * scan else None

    def tuned(self) -> Tuned:
        """Return what the plan achieves for the target."""
        needed, effort = self._needed(KS[0], self.target), self.effort(KS[0], self.target)
        return Tuned(
            effort,
            1.0 if effort is None else self.recall,
            0 if effort is None else self.queries,
            None if needed is None else needed[1],
            self.scan_milliseconds if self.points else None,
            self.components,
        )

    def _needed(self, k: int, recall: float) -> tuple[int, float] | None:
        """Return the effort and its milliseconds; None if no measured effort reaches the recall."""
        aim = recall + self.margin * (1 - recall)
        near, far = self._least(0, aim), self._least(1, aim)
        if near is None or k <= KS[0]:
            return None if near is None else (math.ceil(near[0]), near[1])
        if far is None:
            return None
        share = min(1.0, math.log(k / KS[0]) / math.log(KS[1] / KS[0]))
        beyond = max(1.0, k / KS[1])
        effort, milliseconds = (
            low * (max(low, high) / low) ** share * beyond for low, high in zip(near, far, strict=True)
        )
        return math.ceil(effort), milliseconds

    def _least(self, column: int, recall: float) -> tuple[float, float] | None:
        """Return effort and milliseconds, interpolated between the points around a recall."""
        before: Point | None = None
        for point in self.points:
            reached = point.recalls[column]
            if reached >= recall:
                if before is None or reached == before.recalls[column]:
                    return float(point.effort), point.milliseconds[column]
                share = (recall - before.recalls[column]) / (reached - before.recalls[column])
                return (
                    before.effort * (point.effort / before.effort) ** share,
                    before.milliseconds[column]
                    + share * max(0.0, point.milliseconds[column] - before.milliseconds[column]),
                )
            before = point
        return None

    def write(self, folder: Path) -> None:
        """Write the plan's file."""
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        (folder / PLAN_FILE).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Read what `write` wrote.

        Raises:
            UnusablePlan: the file is missing, unreadable or of another version.
            OSError: the process has no free file handle.
        """
        try:
            fields = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
            version = fields.pop("format_version")
            if version != FORMAT_VERSION:
                raise UnusablePlan(f"{PLAN_FILE} has version {version} instead of {FORMAT_VERSION}")
            points = tuple(
                Point(each["effort"], tuple(each["recalls"]), tuple(each["milliseconds"]))
                for each in fields.pop("points")
            )
            return cls(**{**fields, "points": points, "held_out": tuple(fields["held_out"])})
        except FileNotFoundError as error:
            raise UnusablePlan("an older version wrote it") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if lacks_handles(error):
                raise
            raise UnusablePlan(f"{PLAN_FILE} cannot be read ({error})") from error
