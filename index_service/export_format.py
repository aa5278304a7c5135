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
from index_service.errors import InvalidExport
from index_service.items import StoredRow

FORMAT_VERSION = 1
# Up to here, doubles represent every integer; many languages read numbers as doubles.
_LARGEST_ROW = 2**53


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


class ImportCheck:
    """Checks an export's rows and trailer as they arrive."""

    def __init__(self, header: ExportHeader) -> None:
        self._digest = ExportDigest(header)
        self._expected = header.item_count
        self.last_row = 0

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Check the next rows; raise InvalidExport if they are not valid after those before."""
        for row in rows:
            if not self.last_row < row.row <= _LARGEST_ROW:
                raise InvalidExport(f'the row of item "{row.id}", {row.row}, cannot follow {self.last_row}')
            if not 1 <= row.sequence <= row.row:
                raise InvalidExport(f'the sequence of item "{row.id}", {row.sequence}, is not 1 to {row.row}')
            self.last_row = row.row
        self._digest.add(rows)

    def complete(self, trailer: ExportTrailer) -> int:
        """Return the number of items; raise InvalidExport if the trailer does not match header and rows."""
        found = self._digest.trailer()
        if not found.item_count == trailer.item_count == self._expected:
            raise InvalidExport(
                f"it has {found.item_count} items, but its header says {self._expected}, "
                f"and its trailer {trailer.item_count}"
            )
        if found.sha256 != trailer.sha256:
            raise InvalidExport("it does not match its checksum")
        return found.item_count


def _framed(texts: Iterable[str | bytes]) -> bytes:
    encoded = (text.encode() if isinstance(text, str) else text for text in texts)
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
