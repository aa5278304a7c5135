"""Files of exports of an index: 16 bytes that name the format, its version, then pieces, each preceded by its length.

The format is written in the proto (`semsearch.index.v1.ExportPiece`). What a file says is checked by the index service,
with the checksum at its end; here it is only made sure that these are pieces of an export.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError
from semsearch.index.v1 import index_service_pb2 as pb

from client.connection import MAX_MESSAGE_BYTES
from client.errors import InvalidRequest, SemsearchError

MAGIC = b"semsearch.export"
FORMAT_VERSION = 1
_VERSION_BYTES = 4
_VARINT_BYTES = 5  # of the length of a message: it has less than 2³¹ bytes


class ExportWriter:
    """Writes the pieces of an export into a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, piece: pb.ExportPiece) -> None:
        """Writes the next piece; before the first, a header, what the file begins with."""
        if piece.HasField("header"):
            self._file.write(MAGIC + piece.header.format_version.to_bytes(_VERSION_BYTES, "little"))
        content = piece.SerializeToString()
        self._file.write(_varint(len(content)) + content)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that is there as a whole, and on disk, when the block has ended, and not at all where that failed.

    Raises:
        SemsearchError: it cannot be written.
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
    """Yields the pieces of a file.

    Raises:
        InvalidRequest: it cannot be read, is no export, one of a newer version, or damaged.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InvalidRequest(f"{path} is no export of an index.")
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
                # What follows must be told before the service has the last piece and makes an index of it.
                if piece is None or (ended and file.read(1)):
                    raise InvalidRequest(f"{path} is damaged or cut off.", hint="Export the index again.")
                yield piece
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from error


def _next(file: BinaryIO) -> pb.ExportPiece | None:
    """Reads the next piece; None where there is no whole one."""
    size = _read_varint(file)
    if size is None or len(content := file.read(size)) < size:
        return None
    try:
        return pb.ExportPiece.FromString(content)
    except DecodeError:
        return None


def _varint(value: int) -> bytes:
    """Returns a length as protobuf writes it: seven bits a byte, the lowest first, the last without the eighth."""
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*content, value))


def _read_varint(file: BinaryIO) -> int | None:
    """Reads the length of a message; None where there is none, or one that no message may have."""
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] <= 0x7F:
            return value if value <= MAX_MESSAGE_BYTES else None
    return None
