"""Checks: their progress and reports."""

from __future__ import annotations

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.descriptions import STORE, CheckProgress, CheckReport, CheckStep, Damage
from index_service.errors import StoreDamaged


def from_step(step: CheckStep, last: CheckProgress) -> pb.CheckIndexResponse:
    """Return progress, or a report together with the `last` progress."""
    if isinstance(step, CheckProgress):
        return pb.CheckIndexResponse(done_item_count=step.done, total_item_count=step.total)
    report = pb.CheckReport(
        damages=[
            pb.Damage(part=each.part, problem=each.problem, rebuild_repairs=each.rebuild_repairs)
            for each in step.damages
        ],
        item_count=step.item_count,
        segment_count=step.segment_count,
    )
    return pb.CheckIndexResponse(done_item_count=last.done, total_item_count=last.total, report=report)


def report_of(error: StoreDamaged) -> CheckReport:
    """Return the report of an index that could not be opened."""
    return CheckReport((Damage(STORE, str(error), False),), 0, 0)
