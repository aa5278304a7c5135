"""Feature vectors on disk, so that the backbone runs once per image, however often a head is trained.

Contract: a cache belongs to one extractor (network, input size, views) and one dtype; opening it with another is
refused. A row is keyed by the SHA-256 of the image file's bytes, so the same picture in two data sets, under another
name or in another order is computed once. Rows are never changed or removed.

Durability: rows are appended to `rows.bin` and synced, then their keys are appended to `keys.bin` and synced; the
keys are the commit point. Opening cuts both files back to whole rows that have a key, so a process killed at any point,
or a disk that fills up, costs at most the batch that was being written. One process writes at a time (a lock that dies
with it); any number read.

The caches of all backbones lie in one folder that runs share. A cache's folder follows from its spec, so two runs of
the same backbone meet in it. Caches are removed by age; one that is being written is never removed, and one that is
being read stays readable.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.durable_files import write_file
from trainer.errors import CacheInUse, CacheMismatch, NotWritten

_KEY_BYTES = 32
_ROWS, _KEYS, _SPEC = "rows.bin", "keys.bin", "spec.json"
_REMOVED = ".removed-"


@dataclass(frozen=True)
class CacheSpec:
    """What makes two feature vectors comparable.

    `extractor` names the network and its preprocessing; `views` are the variants of each picture that were computed, in
    the order of a row's first axis; `dtype` is "float16" (half the disk, 3 digits) or "float32".
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
    """An open cache; a context manager. One thread may append while others check for keys."""

    def __init__(self, folder: Path, spec: CacheSpec) -> None:
        """Open or create the cache in a folder.

        Raises:
            CacheMismatch: the folder holds the cache of another spec.
            CacheInUse: another process has it open.
            NotWritten: the folder cannot be made or written to.
        """
        self.spec = spec
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._keys = FileIO(folder / _KEYS, "a+")
            try:
                self._lock()
                _check_spec(folder / _SPEC, spec)
                self._rows = FileIO(folder / _ROWS, "a+")
                self._row_of_key = {key.tobytes(): row for row, key in enumerate(read_keys(folder, spec))}
                self._cut_back()
            except BaseException:
                self._keys.close()
                raise
        except OSError as error:
            raise self._not_written(error) from error

    def _lock(self) -> None:
        try:
            fcntl.flock(self._keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CacheInUse(
                f"Another process is computing features into {self.folder}. Wait for it to end, or name another folder."
            ) from error

    def _cut_back(self) -> None:
        """Truncate both files after the last whole row that has a key."""
        self._keys.truncate(len(self) * _KEY_BYTES)
        self._rows.truncate(len(self) * self.spec.row_bytes)

    def _not_written(self, error: OSError) -> NotWritten:
        return NotWritten(
            f"Features cannot be written into {self.folder} ({error.strerror}). What was computed before is kept: make "
            "room, or name another folder of caches, and give the same command again."
        )

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
            ValueError: the shape is wrong, or a key exists already or occurs twice.
            NotWritten: the disk is full or refuses; the cache is as it was before.
        """
        if rows.shape != (len(keys), *self.spec.row_shape):
            raise ValueError(f"{len(keys)} keys need rows of {self.spec.row_shape}, not an array of {rows.shape}")
        if len(set(keys)) < len(keys) or any(key in self or len(key) != _KEY_BYTES for key in keys):
            raise ValueError("keys must be new, distinct SHA-256 digests")
        try:
            _write_through(self._rows, np.ascontiguousarray(rows, dtype=self.spec.dtype).tobytes())
            _write_through(self._keys, b"".join(keys))
        except OSError as error:
            with suppress(OSError):  # opening cuts back again
                self._cut_back()
            raise self._not_written(error) from error
        first = len(self._row_of_key)
        self._row_of_key.update({key: first + number for number, key in enumerate(keys)})

    def rows_of(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the row number of each key, (n,). Raises KeyError for a missing key."""
        return np.array([self._row_of_key[key] for key in keys], dtype=np.int64)

    def memory_map(self) -> NDArray[np.floating[Any]]:
        """Return every row so far: (rows, views, dimension), read-only and memory-mapped."""
        return rows_on_disk(self.folder, self.spec, len(self))


def read_spec(folder: Path) -> CacheSpec:
    """Return the spec of the cache in a folder; raise FileNotFoundError, ValueError or TypeError if there is none."""
    described = json.loads((folder / _SPEC).read_text())
    return CacheSpec(**{**described, "views": tuple(described["views"])})


def read_keys(folder: Path, spec: CacheSpec) -> NDArray[np.uint8]:
    """Return the keys of the complete rows, (rows, 32), in order; another process may be appending."""
    keys = (folder / _KEYS).read_bytes()
    count = min(len(keys) // _KEY_BYTES, (folder / _ROWS).stat().st_size // spec.row_bytes)
    return np.frombuffer(keys, np.uint8, count * _KEY_BYTES).reshape(count, _KEY_BYTES)


def rows_on_disk(folder: Path, spec: CacheSpec, count: int) -> NDArray[np.floating[Any]]:
    """Return the first rows, (count, views, dimension), read-only and memory-mapped."""
    shape = (count, *spec.row_shape)
    if not count:  # an empty file cannot be mapped
        return np.empty(shape, dtype=spec.dtype)
    return np.memmap(folder / _ROWS, dtype=spec.dtype, mode="r", shape=shape)


def _check_spec(path: Path, spec: CacheSpec) -> None:
    wanted = json.dumps(asdict(spec), indent=2) + "\n"
    if not path.exists():
        write_file(path, wanted.encode())
    elif path.read_text() != wanted:
        raise CacheMismatch(
            f"The features in {path.parent} are of another backbone, view or type than {spec.extractor} "
            f"({', '.join(spec.views)}; {spec.dimension} × {spec.dtype}). Name another folder, or delete that one."
        )
    os.utime(path)  # the time of its last use, for `clean`


def _write_through(file: FileIO, content: bytes) -> None:
    """Write unbuffered, so that nothing that a full disk rejected is written later."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())


@dataclass(frozen=True)
class Cached:
    """A cache: its folder, spec, number of images, size on disk, and when it was last written or opened for a run."""

    folder: Path
    spec: CacheSpec
    images: int
    bytes: int
    last_used: datetime


def shared_folder() -> Path:
    """Return the default folder of caches: `cache/features` of the suite's data folder."""
    return Path(os.environ.get("SEMSEARCH_DATA") or "var") / "cache" / "features"


def cache_folder(root: Path, spec: CacheSpec) -> Path:
    """Return the folder of a spec's cache."""
    digest = hashlib.sha256(json.dumps(asdict(spec)).encode()).hexdigest()
    return root / digest[:16]


def list_caches(root: Path) -> Iterator[Cached]:
    """Yield the caches of a folder, by name; anything else is skipped."""
    for spec_file in sorted(root.glob("[!.]*/spec.json")):
        folder = spec_file.parent
        try:
            spec = read_spec(folder)
            yield Cached(
                folder,
                spec,
                len(read_keys(folder, spec)),
                sum(each.stat().st_size for each in folder.iterdir()),
                datetime.fromtimestamp(spec_file.stat().st_mtime, UTC),
            )
        except (OSError, ValueError, TypeError, KeyError):
            continue


def clean(root: Path, unused_for: timedelta) -> tuple[list[Cached], list[Cached]]:
    """Remove caches unused for this long; return those removed, and those kept because a process is writing to them."""
    before = datetime.now(UTC) - unused_for
    removed: list[Cached] = []
    in_use: list[Cached] = []
    for each in list(list_caches(root)):
        if each.last_used <= before:
            (removed if _remove(each.folder) else in_use).append(each)
    for leftover in root.glob(f"{_REMOVED}*"):  # left by an interrupted removal
        shutil.rmtree(leftover)
    return removed, in_use


def _remove(folder: Path) -> bool:
    with (folder / "keys.bin").open("rb") as keys:
        try:
            fcntl.flock(keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Renamed first: a cache exists complete or not at all.
        gone = folder.rename(folder.with_name(_REMOVED + folder.name))
    shutil.rmtree(gone)
    return True
