"""An operator's calls to the index service."""

from __future__ import annotations

from datetime import UTC

from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.transport.calls import Call
from semsearch.transport.methods import listed, streamed
from semsearch.values.indexes import CheckReport, Damage, IndexSummary, Progress

# Many millions of items over a slow line, or in large forests.
OPERATION_SECONDS = 7 * 24 * 3600.0


class IndexMethods:
    """The methods of IndexService that operators need. The gateway makes the others."""

    @listed
    def list_indexes(self, *, timeout: float | None = None) -> Call[tuple[IndexSummary, ...]]:
        """Iterate over the indexes by name."""
        return Call(pb.ListIndexesRequest(), lambda response: tuple(map(index_summary, response.indexes)), timeout)

    @streamed
    def check_index(self, name: str, *, timeout: float = OPERATION_SECONDS) -> Call[Progress | CheckReport]:
        """Check all data of an index for damage; yield the progress, and the report at the end."""
        return Call(pb.CheckIndexRequest(name=name), lambda response: _step(name, response), timeout)

    @streamed
    def rebuild_index(self, name: str, *, timeout: float = OPERATION_SECONDS) -> Call[Progress]:
        """Rebuild the segments of an index from its store; if the iteration ends early, the service continues."""
        request = pb.OptimizeIndexRequest(name=name, rebuild=True)
        return Call(request, lambda response: Progress(response.done_row_count, response.total_row_count), timeout)

    @streamed
    def export_index(self, name: str, *, timeout: float = OPERATION_SECONDS) -> Call[pb.ExportPiece]:
        """Yield the pieces of a snapshot of an index; see `semsearch.export_file`."""
        return Call(pb.ExportIndexRequest(name=name), _piece, timeout)


def index_summary(index: pb.Index) -> IndexSummary:
    """Translate an index."""
    written = (each.create_time for each in index.stats.segments if each.HasField("create_time"))
    merges = [time.ToDatetime(tzinfo=UTC) for time in written]
    return IndexSummary(
        name=index.name,
        item_count=index.item_count,
        dimension=index.dimension,
        model_id=index.model_id,
        aliases=tuple(index.aliases),
        segment_count=index.stats.segment_count,
        disk_bytes=index.stats.disk_bytes,
        repairs=tuple(index.stats.repairs),
        recall_target=index.recall_target,
        measured_recall=index.stats.measured_recall,
        live_item_count=index.stats.live_row_count,
        last_merge_time=max(merges, default=None),
    )


def _piece(response: pb.ExportIndexResponse) -> pb.ExportPiece:
    return response.piece


def _step(name: str, response: pb.CheckIndexResponse) -> Progress | CheckReport:
    if not response.HasField("report"):
        return Progress(response.done_item_count, response.total_item_count)
    report = response.report
    damages = tuple(Damage(each.part, each.problem, each.rebuild_repairs) for each in report.damages)
    return CheckReport(name, report.item_count, report.segment_count, damages)
