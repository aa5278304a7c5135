"""Opens a file of word vectors as a stream of bytes: plain, in gzip, or one member of a zip.

Contract: how it is packed is told by its first bytes, not by its name. Nothing is unpacked to disk or held in memory.
Damage that shows while the stream is read is told as WordVectorsMalformed, as is that of what lies in it.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from trainer.errors import WordVectorsMalformed

__all__ = ["open_word_file"]

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# What zipfile says of a password, and of a compression that it does not know.
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@contextmanager
def open_word_file(path: Path, member: str | None = None) -> Iterator[IO[bytes]]:
    """Opens a file from its start; ``member`` is the name within a zip, which one with a single file needs not.

    Raises:
        WordVectorsMalformed: it is damaged, or a zip without that member or with several to choose from.
    """
    with path.open("rb") as file:
        first = file.read(4)
    if member is not None and first not in _ZIP:
        raise WordVectorsMalformed(f"{path} is no zip, so there is no member {member} in it. Leave --member out.")
    try:
        if first in _ZIP:
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive, member)) as stream:
                yield stream
        elif first.startswith(_GZIP):
            with gzip.open(path) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            with path.open("rb") as stream:
                yield stream
    except _DAMAGE as error:
        raise WordVectorsMalformed(
            f"{path} cannot be unpacked: {error}. It is cut off or damaged; fetch it again."
        ) from error


def _member(path: Path, archive: zipfile.ZipFile, wanted: str | None) -> zipfile.ZipInfo:
    members = {
        each.filename: each
        for each in archive.infolist()
        if not each.is_dir() and not each.filename.startswith("__MACOSX/")
    }
    if wanted is None and len(members) == 1:
        return next(iter(members.values()))
    if wanted in members:
        return members[wanted]
    here = ", ".join(members) or "none"
    raise WordVectorsMalformed(
        f"{path} has no member {wanted}; its members are: {here}."
        if wanted is not None
        else f"{path} has several members, or none: {here}. Choose one of them with --member."
    )
