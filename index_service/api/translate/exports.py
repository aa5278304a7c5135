"""Exports and imports: the pieces of an export."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import numpy as np
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.translate.indexes import from_definition, to_definition
from index_service.api.translate.items import to_attributes, to_id
from index_service.errors import DimensionMismatch, ExportTooNew, InvalidExport, InvalidVector
from index_service.export_format import FORMAT_VERSION, ExportHeader, ExportPiece, ExportTrailer
from index_service.items import StoredRow
from index_service.vectors import not_of_length_1

_FIELD = "piece.items.items"


def from_pieces(pieces: Generator[ExportPiece, None, None]) -> Generator[pb.ExportIndexResponse, None, None]:
    """Yield the messages of an export; close `pieces` at the end."""
    with closing(pieces):
        for piece in pieces:
            yield pb.ExportIndexResponse(piece=from_piece(piece))


def from_piece(piece: ExportPiece) -> pb.ExportPiece:
    """Return a piece of an export."""
    if isinstance(piece, ExportHeader):
        header = pb.ExportHeader(
            format_version=FORMAT_VERSION,
            index=from_definition(piece.definition),
            item_count=piece.item_count,
            snapshot_version=piece.snapshot_version,
        )
        return pb.ExportPiece(header=header)
    if isinstance(piece, ExportTrailer):
        return pb.ExportPiece(trailer=pb.ExportTrailer(item_count=piece.item_count, sha256=piece.sha256))
    items = [
        pb.ExportedItem(id=row.id, row=row.row, sequence=row.sequence, vector=row.vector, attributes=row.attributes)
        for row in piece
    ]
    return pb.ExportPiece(items=pb.ExportedItems(items=items))


def to_header(piece: pb.ExportPiece) -> ExportHeader:
    """Return the header of an export.

    Raises:
        InvalidExport: the piece is not a header.
        ExportTooNew: the export has a newer format version.
        InvalidField: the definition has a field that is malformed or out of range.
    """
    version = piece.header.format_version
    if not piece.HasField("header") or version < 1:
        raise InvalidExport("it does not begin with a header")
    if version > FORMAT_VERSION:
        raise ExportTooNew(version, FORMAT_VERSION)
    return ExportHeader(to_definition(piece.header.index), piece.header.item_count, piece.header.snapshot_version)


def to_rows(piece: pb.ExportPiece, dimension: int) -> tuple[StoredRow, ...]:
    """Return the rows of a piece.

    Raises:
        InvalidExport: the piece is a header.
        InvalidId, DimensionMismatch, InvalidVector, InvalidField: an item breaks the rules.
    """
    if not piece.HasField("items"):
        raise InvalidExport("a header follows another")
    rows = tuple(
        StoredRow(
            item.row,
            item.sequence,
            to_id(item.id, f"{_FIELD}[{number}].id"),
            to_attributes(item.attributes, f"{_FIELD}[{number}].attributes"),
            item.vector,
        )
        for number, item in enumerate(piece.items.items)
    )
    for number, row in enumerate(rows):
        if len(row.vector) != 4 * dimension:
            raise DimensionMismatch(f"{_FIELD}[{number}].vector", len(row.vector) // 4, dimension)
    vectors = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(-1, dimension)
    for number in not_of_length_1(vectors)[:1].tolist():
        raise InvalidVector(f"{_FIELD}[{number}].vector", "does not have length 1.")
    return rows


def to_trailer(trailer: pb.ExportTrailer) -> ExportTrailer:
    """Return a trailer."""
    return ExportTrailer(trailer.item_count, trailer.sha256)
