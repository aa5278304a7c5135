"""What an operator asks of the index service itself, past the gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from client.connection import DEFAULT_TIMEOUT_SECONDS, Connection
from client.errors import SemsearchError
from client.rpc_errors import INDEX_SERVICE

DEFAULT_INDEX_ADDRESS = "127.0.0.1:50053"
# Many millions of items over a slow line, or in large forests.
_OPERATION_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class IndexSummary:
    """An index; `repairs` is what was found damaged since the service started, or why it cannot be opened."""

    name: str
    item_count: int
    dimension: int
    model_id: str
    aliases: tuple[str, ...]
    segment_count: int
    disk_bytes: int
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class Damage:
    """Something that is not as it should be, and whether a rebuild repairs it."""

    part: str
    problem: str
    rebuild_repairs: bool


@dataclass(frozen=True)
class CheckReport:
    """What a check found."""

    name: str
    item_count: int
    segment_count: int
    damages: tuple[Damage, ...]


@dataclass(frozen=True)
class Progress:
    """How many items are done, of how many."""

    done: int
    total: int


class IndexOperations(Connection):
    """Calls the index service; every method raises `SemsearchError`."""

    def __init__(
        self, server: str = DEFAULT_INDEX_ADDRESS, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        """Names the service ("host:port") and how long a short call may take."""
        super().__init__(server, timeout_seconds=timeout_seconds, peer=INDEX_SERVICE)
        self._stub = pb_grpc.IndexServiceStub(self.channel)

    def list_indexes(self) -> Iterator[IndexSummary]:
        """Yields the indexes by name."""
        request = pb.ListIndexesRequest()
        while True:
            page = self.call(self._stub.ListIndexes, request)
            yield from map(_summary, page.indexes)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def check_index(self, name: str) -> Iterator[Progress | CheckReport]:
        """Looks for damage in everything that an index keeps; yields how far it is, and last what was found."""
        call = self._stub.CheckIndex(pb.CheckIndexRequest(name=name), timeout=_OPERATION_SECONDS)
        try:
            with self.translated_errors():
                for response in call:
                    if response.HasField("report"):
                        yield _report(name, response.report)
                    else:
                        yield Progress(response.done_item_count, response.total_item_count)
        finally:
            call.cancel()

    def rebuild_index(self, name: str) -> Iterator[Progress]:
        """Writes the segments of an index anew from its store; goes on in the service if it is ended early."""
        request = pb.OptimizeIndexRequest(name=name, rebuild=True)
        call = self._stub.OptimizeIndex(request, timeout=_OPERATION_SECONDS)
        try:
            with self.translated_errors():
                for response in call:
                    yield Progress(response.done_row_count, response.total_row_count)
        finally:
            call.cancel()

    def export_index(self, name: str) -> Iterator[pb.ExportPiece]:
        """Yields the pieces of an export of this moment; see `export_file`."""
        call = self._stub.ExportIndex(pb.ExportIndexRequest(name=name), timeout=_OPERATION_SECONDS)
        try:
            with self.translated_errors():
                for response in call:
                    yield response.piece
        finally:
            call.cancel()

    def import_index(self, name: str, pieces: Iterable[pb.ExportPiece]) -> IndexSummary:
        """Makes a new index of the pieces of an export; nothing is left of it where that fails.

        Raises:
            SemsearchError: the service refused it, or what `pieces` raised.
        """
        faults: list[SemsearchError] = []

        def requests() -> Iterator[pb.ImportIndexRequest]:
            try:
                for number, piece in enumerate(pieces):
                    yield pb.ImportIndexRequest(name="" if number else name, piece=piece)
            except SemsearchError as fault:  # in gRPC's own thread; the service refuses what has no end
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
    return IndexSummary(
        name=index.name,
        item_count=index.item_count,
        dimension=index.dimension,
        model_id=index.model_id,
        aliases=tuple(index.aliases),
        segment_count=index.stats.segment_count,
        disk_bytes=index.stats.disk_bytes,
        repairs=tuple(index.stats.repairs),
    )


def _report(name: str, report: pb.CheckReport) -> CheckReport:
    damages = tuple(Damage(each.part, each.problem, each.rebuild_repairs) for each in report.damages)
    return CheckReport(name, report.item_count, report.segment_count, damages)
