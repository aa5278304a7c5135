"""An operator's calls to the index service itself, bypassing the gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from semsearch.connection import DEFAULT_TIMEOUT_SECONDS, Connection
from semsearch.errors import SemsearchError
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc
from semsearch.rpc_errors import INDEX_SERVICE

DEFAULT_INDEX_ADDRESS = "127.0.0.1:50053"
# Many millions of items over a slow line, or in large forests.
_OPERATION_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class IndexSummary:
    """An index; `repairs` lists damage found since the service started, or why the index cannot be opened.

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


class IndexOperations(Connection):
    """A client of the index service; every method raises `SemsearchError`."""

    def __init__(
        self, server: str = DEFAULT_INDEX_ADDRESS, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        """Set the service's address ("host:port") and the deadline of a short call."""
        super().__init__(server, INDEX_SERVICE, timeout_seconds)
        self._stub = pb_grpc.IndexServiceStub(self.channel)

    def list_indexes(self) -> Iterator[IndexSummary]:
        """Yield the indexes by name."""
        for page in self.pages(self._stub.ListIndexes, pb.ListIndexesRequest()):
            yield from map(_summary, page.indexes)

    def check_index(self, name: str) -> Iterator[Progress | CheckReport]:
        """Check all data of an index for damage; yield the progress, and the report at the end."""
        request = pb.CheckIndexRequest(name=name)
        return self.stream(self._stub.CheckIndex, request, _OPERATION_SECONDS, lambda response: _step(name, response))

    def rebuild_index(self, name: str) -> Iterator[Progress]:
        """Rebuild the segments of an index from its store; if the iteration ends early, the service continues."""
        request = pb.OptimizeIndexRequest(name=name, rebuild=True)
        return self.stream(
            self._stub.OptimizeIndex,
            request,
            _OPERATION_SECONDS,
            lambda response: Progress(response.done_row_count, response.total_row_count),
        )

    def export_index(self, name: str) -> Iterator[pb.ExportPiece]:
        """Yield the pieces of a snapshot of an index; see `export_file`."""
        request = pb.ExportIndexRequest(name=name)
        return self.stream(self._stub.ExportIndex, request, _OPERATION_SECONDS, lambda response: response.piece)

    def import_index(self, name: str, pieces: Iterable[pb.ExportPiece]) -> IndexSummary:
        """Create an index from the pieces of an export; if that fails, nothing is left of it.

        Raises:
            SemsearchError: the service refused it, or `pieces` raised the error.
        """
        faults: list[SemsearchError] = []

        def requests() -> Iterator[pb.ImportIndexRequest]:
            try:
                for number, piece in enumerate(pieces):
                    yield pb.ImportIndexRequest(name="" if number else name, piece=piece)
            except SemsearchError as fault:  # in gRPC's own thread; the service refuses an import without an end
                faults.append(fault)

        call = self._stub.ImportIndex.future(requests(), timeout=_OPERATION_SECONDS)
        try:
            with self.translated_errors():
                return _summary(call.result().index)
        except SemsearchError as error:
            raise (faults or [error])[0] from error
        finally:
            call.cancel()


def _summary(index: pb.Index) -> IndexSummary:
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


def _step(name: str, response: pb.CheckIndexResponse) -> Progress | CheckReport:
    if not response.HasField("report"):
        return Progress(response.done_item_count, response.total_item_count)
    report = response.report
    damages = tuple(Damage(each.part, each.problem, each.rebuild_repairs) for each in report.damages)
    return CheckReport(name, report.item_count, report.segment_count, damages)
