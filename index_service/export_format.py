"""The parts of an export: a header, rows by number, and a trailer with a checksum of both.

An imported index has the same ids, attributes and vectors (to the bit), and because row numbers are kept, the same
order of first addition and of equal distances. The proto (`ExportPiece`, `ExportTrailer`) defines how pieces are put
into messages and files, and what the checksum covers.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from index_service.definition import IndexDefinition
from index_service.items import StoredRow

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ExportHeader:
    """The exported index, its number of items, and the version (last commit) that was exported."""

    definition: IndexDefinition
    item_count: int
    snapshot_version: int


@dataclass(frozen=True)
class ExportTrailer:
    """The number of items, and the SHA-256 (32 bytes) of header and rows."""

    item_count: int
    sha256: bytes


ExportPiece: TypeAlias = ExportHeader | tuple[StoredRow, ...] | ExportTrailer


class ExportDigest:
    """Counts and hashes an export's rows as they are streamed."""

    def __init__(self, header: ExportHeader) -> None:
        definition = header.definition
        labels = [text for label in sorted(definition.labels.items()) for text in label]
        self._count = 0
        self._sum = hashlib.sha256(
            _framed(
                (
                    str(FORMAT_VERSION),
                    definition.name,
                    str(definition.dimension),
                    definition.model_id,
                    definition.engine.value,
                    struct.pack("<f", definition.recall_target),
                    str(len(definition.indexed_attributes)),
                    *map(str, definition.indexed_attributes),
                    str(len(definition.labels)),
                    *labels,
                    str(header.item_count),
                    str(header.snapshot_version),
                )
            )
        )

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Count and hash the next rows."""
        self._count += len(rows)
        for row in rows:
            self._sum.update(_framed((row.id, str(row.row), str(row.sequence), row.vector, row.attributes)))

    def trailer(self) -> ExportTrailer:
        """Return the trailer for the header and the rows added so far."""
        return ExportTrailer(self._count, self._sum.digest())


def _framed(texts: Iterable[str | bytes]) -> bytes:
    encoded = (text.encode() if isinstance(text, str) else text for text in texts)
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
