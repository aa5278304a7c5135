"""Fills a new index from the messages of an export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from functools import partial

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.call_threads import run_to_end
from index_service.api.changes import Changes
from index_service.api.translate import exports
from index_service.contract import AnyCatalog, Import, Index
from index_service.errors import InvalidExport


async def fill(
    importing: Import,
    dimension: int,
    messages: AsyncIterator[pb.ImportIndexRequest],
    catalog: AnyCatalog,
    changes: Changes,
    threads: Executor,
) -> Index:
    """Add the messages after the header to an import, and give the index its name; raises `InvalidExport`."""
    async for message in messages:
        piece = message.piece
        if piece.HasField("trailer"):
            importing_ended = exports.to_trailer(piece.trailer)
            break
        await run_to_end(threads, partial(_add, importing, piece, dimension))
    else:
        raise InvalidExport("it ends without a trailer")
    if await anext(messages, None) is not None:
        raise InvalidExport("it has messages after its trailer")

    def complete() -> Index:
        importing.complete(importing_ended)
        return catalog.finish_import(importing)

    with changes.change():
        return await run_to_end(threads, complete)


def _add(importing: Import, piece: pb.ExportPiece, dimension: int) -> None:
    importing.add(exports.to_rows(piece, dimension))
