"""The number of frames that SQLite's log of a store should hold according to its -shm; SQLite does not compare the two.

If the log is damaged or missing, SQLite silently uses only its intact beginning. The -shm (the log's index, in shared
memory) survives when the process is killed, and SQLite increases its frame count only after syncing the frames. So a
log with fewer frames was damaged. After a power loss the -shm may be old or empty: then it gives no count, or one that
is too low.

Formats: https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import struct
from pathlib import Path

_INDEX_HEADER = struct.Struct("=III BBH II 8s 8s 8s")  # native byte order
_INDEX_VERSION = 3_007_000
_LOG_HEADER_BYTES = 32
_SALT = slice(16, 24)


def promised_frames(store: Path) -> int:
    """Return how many frames the log of a closed store must hold at least; 0 if unknown."""
    index = _read(store.with_name(f"{store.name}-shm"), 2 * _INDEX_HEADER.size)
    header = index[: _INDEX_HEADER.size]
    if len(index) < 2 * _INDEX_HEADER.size or header != index[_INDEX_HEADER.size :]:
        return 0
    version, _, _, _, _, _, frames, _, _, salt, checksum = _INDEX_HEADER.unpack(header)
    if version != _INDEX_VERSION or struct.pack("=II", *_checksum(header[:-8], "=")) != checksum:
        return 0
    log = _read(store.with_name(f"{store.name}-wal"), _LOG_HEADER_BYTES)
    # If the salts differ, the log was restarted after the -shm was written.
    return 0 if _is_whole(log) and log[_SALT] != salt else int(frames)


def _read(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError:
        return b""


def _is_whole(header: bytes) -> bool:
    if len(header) < _LOG_HEADER_BYTES:
        return False
    (magic,) = struct.unpack(">I", header[:4])
    return struct.pack(">II", *_checksum(header[:-8], ">" if magic & 1 else "<")) == header[-8:]


def _checksum(content: bytes, order: str) -> tuple[int, int]:
    first = second = 0
    for one, other in struct.iter_unpack(f"{order}II", content):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
