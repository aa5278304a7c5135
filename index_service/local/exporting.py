"""Exports: one read transaction of the store for all pieces, so that they are of one version.

Writers do not wait for an export. But SQLite's log (WAL) cannot be reused while a transaction reads an older state, so
it grows by what is written during the export; it shrinks at the next restart. The caller must close the iterator when
it has finished or gives up; that ends the transaction.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from index_service.definition import IndexDefinition
from index_service.errors import StoreDamaged
from index_service.export_format import ExportDigest, ExportHeader, ExportPiece
from index_service.items import StoredRow
from index_service.local.reads import StoreReader
from index_service.local.store import Store

_PAGE_ROWS = 1_024
_PIECE_BYTES = 2**20


def export(store: Store) -> Generator[ExportPiece, None, None]:
    """Yield the pieces of an export; each piece of rows has about 1 MiB.

    Raises:
        IndexNotFound: the store is closed.
        StoreDamaged: rows cannot be read, or have no vector of the right size. No trailer was yielded.
    """
    with store.read() as reader:
        yield from export_version(reader, store.definition, store.path)


def export_version(reader: StoreReader, definition: IndexDefinition, path: Path) -> Generator[ExportPiece, None, None]:
    """Yield the pieces of an export of the version that a transaction of the store at `path` sees."""
    header = ExportHeader(definition, snapshot_version=reader.version(), item_count=reader.count())
    digest = ExportDigest(header)
    yield header
    last = 0
    while page := reader.stored_rows(last, _PAGE_ROWS):
        last = page[-1].row
        if any(len(row.vector) != 4 * definition.dimension for row in page):
            raise StoreDamaged(path, "items have no vector of the right size")
        for rows in _pieces(page):
            digest.add(rows)
            yield rows
    yield digest.trailer()


def _pieces(rows: Iterable[StoredRow]) -> Iterator[tuple[StoredRow, ...]]:
    piece: list[StoredRow] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += len(row.vector) + len(row.attributes.encode())
        if size >= _PIECE_BYTES:
            yield tuple(piece)
            piece, size = [], 0
    if piece:
        yield tuple(piece)
