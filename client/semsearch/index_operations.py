"""An operator's calls to the index service itself, bypassing the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

import grpc

from semsearch.api.indexes import OPERATION_SECONDS, IndexMethods, index_summary
from semsearch.errors import SemsearchError
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.rpc_errors import INDEX_SERVICE
from semsearch.transport.asynchronous import AsyncConnection
from semsearch.transport.blocking import BlockingConnection
from semsearch.transport.retries import Retries
from semsearch.transport.server import DEFAULT_TIMEOUT_SECONDS, Server, Token
from semsearch.transport.tls import Tls
from semsearch.values.indexes import IndexSummary

DEFAULT_INDEX_ADDRESS = "127.0.0.1:50053"


class IndexOperations(IndexMethods, BlockingConnection):
    """A client of the index service; every method raises `SemsearchError`. The arguments are those of `Client`."""

    def __init__(
        self,
        server: str = DEFAULT_INDEX_ADDRESS,
        *,
        tls: bool | Tls | grpc.ChannelCredentials | None = None,
        token: Token | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        retries: Retries = Retries(),  # noqa: B008 — frozen
    ) -> None:
        """Set how to reach the index service."""
        super().__init__(Server(server, INDEX_SERVICE, tls, token, timeout, retries))

    def import_index(
        self, name: str, pieces: Iterable[pb.ExportPiece], *, engine: str = "", timeout: float = OPERATION_SECONDS
    ) -> IndexSummary:
        """Create an index from the pieces of an export; if that fails, nothing is left of it.

        `engine` is the new index's, for example "hnsw"; empty means that of the exported one.

        Raises:
            ValueError: there is no such engine.
            SemsearchError: the service refused it, or `pieces` raised the error.
        """
        wanted = _engine_of(engine)
        faults: list[SemsearchError] = []

        def requests() -> Iterator[pb.ImportIndexRequest]:
            try:
                for number, piece in enumerate(pieces):
                    yield (
                        pb.ImportIndexRequest(piece=piece)
                        if number
                        else pb.ImportIndexRequest(name=name, piece=piece, engine=wanted)
                    )
            except SemsearchError as fault:  # in gRPC's own thread; the service refuses an import without an end
                faults.append(fault)

        call = self._method("stream_unary", pb.ImportIndexRequest).future(requests(), **self._call_options(timeout))
        try:
            with self._translated_errors():
                return index_summary(call.result().index)
        except SemsearchError as error:
            raise (faults or [error])[0] from error
        finally:
            call.cancel()


class AsyncIndexOperations(IndexMethods, AsyncConnection):
    """The twin of `IndexOperations` for asyncio."""

    def __init__(
        self,
        server: str = DEFAULT_INDEX_ADDRESS,
        *,
        tls: bool | Tls | grpc.ChannelCredentials | None = None,
        token: Token | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        retries: Retries = Retries(),  # noqa: B008 — frozen
    ) -> None:
        """Set how to reach the index service."""
        super().__init__(Server(server, INDEX_SERVICE, tls, token, timeout, retries))

    async def import_index(
        self,
        name: str,
        pieces: AsyncIterable[pb.ExportPiece],
        *,
        engine: str = "",
        timeout: float = OPERATION_SECONDS,  # noqa: ASYNC109 — gRPC keeps it
    ) -> IndexSummary:
        """Create an index from the pieces of an export; if that fails, nothing is left of it.

        `engine` is the new index's, for example "hnsw"; empty means that of the exported one.

        Raises:
            ValueError: there is no such engine.
            SemsearchError: the service refused it, or `pieces` raised the error.
        """
        wanted = _engine_of(engine)
        faults: list[SemsearchError] = []

        async def requests() -> AsyncIterator[pb.ImportIndexRequest]:
            first = True
            try:
                async for piece in pieces:
                    yield (
                        pb.ImportIndexRequest(name=name, piece=piece, engine=wanted)
                        if first
                        else pb.ImportIndexRequest(piece=piece)
                    )
                    first = False
            except SemsearchError as fault:  # in gRPC's own task; the service refuses an import without an end
                faults.append(fault)

        call = self._method("stream_unary", pb.ImportIndexRequest)(requests(), **self._call_options(timeout))
        try:
            with self._translated_errors():
                return index_summary((await call).index)
        except SemsearchError as error:
            raise (faults or [error])[0] from error
        finally:
            call.cancel()


def _engine_of(name: str) -> pb.Engine.ValueType:
    return pb.Engine.Value(f"ENGINE_{name.upper()}") if name else pb.ENGINE_UNSPECIFIED
