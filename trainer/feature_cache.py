"""Feature vectors on disk, so that the backbone sees each image once however often a head is trained.

Contract: a cache belongs to one extractor (network, input size, views) and one dtype; asking for it with another is
refused. A row is keyed by the SHA-256 of the image file's bytes, so the same picture in two data sets, under another
name or after a new order is computed once. Rows are never changed or removed.

Durability: rows are appended to ``rows.bin`` and synced, then their keys are appended to ``keys.bin`` and synced;
the keys are the commit point. Opening cuts both files back to whole rows that have a key, so a process killed at any
point costs at most the batch it was computing. One process writes at a time (a lock that dies with it).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainer.errors import CacheInUse, CacheMismatch

__all__ = ["CacheSpec", "FeatureCache"]

_KEY_BYTES = 32


@dataclass(frozen=True)
class CacheSpec:
    """What makes two feature vectors comparable.

    ``extractor`` names the network and its preprocessing; ``views`` are the ways each picture was looked at, in the
    order of a row's first axis; ``dtype`` is "float16" (half the disk, 3 digits) or "float32".
    """

    extractor: str
    views: tuple[str, ...]
    dimension: int
    dtype: str = "float16"

    @property
    def row_shape(self) -> tuple[int, int]:
        """(views, dimension)."""
        return len(self.views), self.dimension

    @property
    def row_bytes(self) -> int:
        """Size of a row on disk."""
        return int(np.prod(self.row_shape)) * np.dtype(self.dtype).itemsize


class FeatureCache:
    """An open cache; a context manager. Not for use from several threads at once."""

    def __init__(self, folder: Path, spec: CacheSpec) -> None:
        """Opens or creates the cache in a folder.

        Raises:
            CacheMismatch: the folder holds the cache of another spec.
            CacheInUse: another process has it open.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.spec = spec
        self._rows_path = folder / "rows.bin"
        self._keys: BinaryIO = (folder / "keys.bin").open("a+b")
        try:
            self._lock(folder)
            _check_spec(folder / "spec.json", spec)
            self._rows: BinaryIO = self._rows_path.open("a+b")
        except BaseException:
            self._keys.close()
            raise
        self._row_of_key = self._recover()

    def _lock(self, folder: Path) -> None:
        try:
            fcntl.flock(self._keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CacheInUse(
                f"Another process is computing features into {folder}. Wait for it to end, or name another folder."
            ) from error

    def _recover(self) -> dict[bytes, int]:
        self._keys.seek(0)
        keys = self._keys.read()
        count = min(len(keys) // _KEY_BYTES, self._rows_path.stat().st_size // self.spec.row_bytes)
        self._keys.truncate(count * _KEY_BYTES)
        self._rows.truncate(count * self.spec.row_bytes)
        return {keys[row * _KEY_BYTES : (row + 1) * _KEY_BYTES]: row for row in range(count)}

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the files and the lock. Arrays given out stay readable."""
        self._rows.close()
        self._keys.close()

    def __len__(self) -> int:
        return len(self._row_of_key)

    def __contains__(self, key: bytes) -> bool:
        return key in self._row_of_key

    def append(self, keys: Sequence[bytes], rows: NDArray[np.floating[Any]]) -> None:
        """Add rows of (n, views, dimension) under n new keys of 32 bytes; on disk when it returns.

        Raises:
            ValueError: the shape is another, or a key is there already or twice.
        """
        if rows.shape != (len(keys), *self.spec.row_shape):
            raise ValueError(f"{len(keys)} keys want rows of {self.spec.row_shape}, not an array of {rows.shape}")
        if len(set(keys)) < len(keys) or any(key in self or len(key) != _KEY_BYTES for key in keys):
            raise ValueError("keys must be new, distinct SHA-256 digests")
        _write_through(self._rows, np.ascontiguousarray(rows, dtype=self.spec.dtype).tobytes())
        _write_through(self._keys, b"".join(keys))
        first = len(self._row_of_key)
        self._row_of_key.update({key: first + number for number, key in enumerate(keys)})

    def rows_of(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """The row number of each key, (n,). Raises KeyError for a key that is not there."""
        return np.array([self._row_of_key[key] for key in keys], dtype=np.int64)

    def memory_map(self) -> NDArray[np.floating[Any]]:
        """Every row so far: (rows, views, dimension), read-only and memory-mapped."""
        shape = (len(self), *self.spec.row_shape)
        if not len(self):  # an empty file cannot be mapped
            return np.empty(shape, dtype=self.spec.dtype)
        return np.memmap(self._rows_path, dtype=self.spec.dtype, mode="r", shape=shape)


def _check_spec(path: Path, spec: CacheSpec) -> None:
    wanted = json.dumps(asdict(spec), indent=2) + "\n"
    if not path.exists():
        written = path.with_suffix(".tmp")
        written.write_text(wanted)
        written.replace(path)
    elif path.read_text() != wanted:
        raise CacheMismatch(
            f"The features in {path.parent} are of another backbone, view or type than {spec.extractor} "
            f"({', '.join(spec.views)}; {spec.dimension} × {spec.dtype}). Name another folder, or delete that one."
        )


def _write_through(file: BinaryIO, content: bytes) -> None:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
