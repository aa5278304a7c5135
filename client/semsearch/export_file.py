"""Export files of an index: 16 bytes that name the format, its version, then pieces, each preceded by its length.

The proto describes the format (`semsearch.index.v1.ExportPiece`). The index service checks the content against the
checksum at the end of a file. This module only ensures that a file consists of pieces.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError

from semsearch.errors import InvalidRequest, SemsearchError
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.transport.server import MAX_MESSAGE_BYTES

MAGIC = b"semsearch.export"
FORMAT_VERSION = 1
_VERSION_BYTES = 4
_VARINT_BYTES = 5  # the maximum: a message has fewer than 2³¹ bytes


class ExportWriter:
    """Writes the pieces of an export to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, piece: pb.ExportPiece) -> None:
        """Write the next piece; before the header, the first piece, write the format's magic and version."""
        if piece.HasField("header"):
            self._file.write(MAGIC + piece.header.format_version.to_bytes(_VERSION_BYTES, "little"))
        content = piece.SerializeToString()
        self._file.write(_varint(len(content)) + content)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears, complete and on disk, at the end of the block; if the block fails, none appears.

    Raises:
        SemsearchError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SemsearchError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> Iterator[pb.ExportPiece]:
    """Yield the pieces of a file.

    Raises:
        InvalidRequest: the file cannot be read, is not an export, has a newer version, or is damaged.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InvalidRequest(
                    f"{path} is not an export of an index.", hint="Name a file that `semsearch index export` wrote."
                )
            version = int.from_bytes(file.read(_VERSION_BYTES), "little")
            if version > FORMAT_VERSION:
                raise InvalidRequest(
                    f"{path} is an export of format version {version}, and this program reads up to {FORMAT_VERSION}.",
                    hint="Import it with a newer semsearch.",
                )
            ended = False
            while not ended:
                piece = _next(file)
                ended = piece is not None and piece.HasField("trailer")
                # Bytes after the end must be noticed before the service gets the last piece and completes the index.
                if piece is None or (ended and file.read(1)):
                    raise InvalidRequest(f"{path} is damaged or cut off.", hint="Export the index again.")
                yield piece
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from error


def _next(file: BinaryIO) -> pb.ExportPiece | None:
    """Read the next piece; return None if it is missing or incomplete."""
    size = _read_varint(file)
    if size is None or len(content := file.read(size)) < size:
        return None
    try:
        return pb.ExportPiece.FromString(content)
    except DecodeError:
        return None


def _varint(value: int) -> bytes:
    """Return a length as a protobuf varint: seven bits a byte, lowest first; only the last byte's eighth bit is 0."""
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*content, value))


def _read_varint(file: BinaryIO) -> int | None:
    """Read the length of a message; return None if it is missing, or larger than any message may be."""
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] <= 0x7F:
            return value if value <= MAX_MESSAGE_BYTES else None
    return None
