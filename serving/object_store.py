"""Objects in a place that a URL names: a folder, S3, Google Cloud Storage or memory, through fsspec.

A key is a relative path: letters, digits and `._-`, in parts divided by "/".

Contract, in every place:
1. An object is there completely or not at all. `put` replaces one atomically, and it is durable when `put` returns.
2. What was put, deleted or listed is seen by every later call, from any machine. S3 and Google promise it for each
   object; nothing is promised about several objects together.
3. No listing and no content is kept in memory between calls.
4. A get or a list that fails half-way is repeated by the library underneath, a few times. What still fails is
   `StoreUnavailable`: then a put or a delete may have happened or not.

The methods block; call them on a thread. Any number of threads may share a store.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serving.durable_files import is_temporary, sync, write_file

CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 4
# S3 deletes at most this many objects with one request.
_DELETED_AT_ONCE = 1_000
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_S3 = ("s3", "s3a")
_GOOGLE = ("gs", "gcs")
# No caches, neither of file systems nor of listings: other machines change what is there.
_OPTIONS: Mapping[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
_S3_OPTIONS: Mapping[str, Any] = {
    "config_kwargs": {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
    }
}


class ObjectMissing(Exception):
    """No object has the key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no object {key}.")
        self.key = key


class StoreUnavailable(Exception):
    """The store did not answer, or refused for now."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"The object store {place} does not answer: {problem}. Try again in a moment.")
        self.place = place


class StoreUnusable(Exception):
    """A setting is wrong: the store cannot be opened, or refuses this process."""


@dataclass(frozen=True)
class ObjectInfo:
    """An object: its size in bytes, and when it was put by the store's clock, in seconds since the epoch."""

    key: str
    size: int
    modified: float


class ObjectStore:
    """The objects below a URL."""

    def __init__(self, url: str) -> None:
        """Open the place at a URL, or at a plain path; a folder is made when something is put.

        Raises:
            StoreUnusable: the URL is malformed, or the library for its kind is not installed.
        """
        scheme = urlsplit(url).scheme
        options = {**_OPTIONS, **(_S3_OPTIONS if scheme in _S3 else {})}
        try:
            self._files, root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            hint = " Install the library gcsfs into .venv." if scheme in _GOOGLE else ""
            raise StoreUnusable(f"{self._without_secrets(url)} cannot be opened: {error}.{hint}") from error
        except ValueError as error:
            raise StoreUnusable(f"{self._without_secrets(url)} cannot be opened: {error}.") from error
        self._root = str(root).rstrip("/")
        self._is_folder = isinstance(self._files, LocalFileSystem)
        self.place = self._without_secrets(url)

    @property
    def folder(self) -> Path | None:
        """The folder that holds the objects, if it is on this machine."""
        return Path(self._root) if self._is_folder else None

    def check(self) -> None:
        """Put, read and delete a small object.

        Raises:
            StoreUnusable: the place does not exist, or its permissions do not allow that.
            StoreUnavailable: it does not answer.
        """
        key = f"check-{uuid.uuid4().hex}"
        try:
            self.put(key, b"semsearch")
            self.get(key)
            self.delete([key])
        except (ObjectMissing, StoreUnavailable) as error:
            cause = error.__cause__
            if isinstance(cause, PermissionError):
                raise StoreUnusable(
                    f"{self.place} refuses to be written and read: {cause}. Check the credentials and permissions."
                ) from error
            if isinstance(cause, FileNotFoundError):
                raise StoreUnusable(
                    f"{self.place} does not exist. Create the bucket, or correct the setting."
                ) from error
            raise

    def put(self, key: str, content: bytes) -> None:
        """Store an object durably, or replace it.

        Raises:
            StoreUnavailable: it may be stored or not.
        """
        path = self._path(key)
        with self._errors(key, missing_is_unavailable=True):
            if self._is_folder:
                _make_folder(Path(path).parent)
                write_file(Path(path), content)
            else:
                self._files.pipe_file(path, content)

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of an object from `start` to before `end`; fewer if it ends earlier.

        Raises:
            ObjectMissing, StoreUnavailable
        """
        path = self._path(key)
        with self._errors(key):
            if start == 0 and end is None:
                content = self._files.cat_file(path)
            else:
                content = self._files.cat_file(path, start=start, end=end)
        return bytes(content)

    def info(self, key: str) -> ObjectInfo:
        """Return an object's size and time.

        Raises:
            ObjectMissing, StoreUnavailable
        """
        with self._errors(key):
            found = self._files.info(self._path(key))
        if found["type"] != "file":
            raise ObjectMissing(key)
        return ObjectInfo(key, int(found["size"]), _modified(found))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects in a folder, which is "" for all or ends with "/", and in the folders below it.

        The listing is read at once, 200 bytes an object.

        Raises:
            StoreUnavailable
        """
        folder = f"{self._root}/{prefix}".rstrip("/")
        with self._errors(prefix):
            try:
                found = self._files.find(folder, detail=True)
            except FileNotFoundError:
                found = {}
        for path, info in found.items():
            if info["type"] == "file" and not (self._is_folder and is_temporary(Path(path))):
                yield ObjectInfo(str(path)[len(self._root) + 1 :], int(info["size"]), _modified(info))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are no error.

        Raises:
            StoreUnavailable: some may be deleted.
        """
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            paths = [self._path(key) for key in keys[start : start + _DELETED_AT_ONCE]]
            with self._errors(keys[start]):
                if self._is_folder:
                    for path in paths:
                        Path(path).unlink(missing_ok=True)
                    continue
                try:
                    self._files.rm(paths)
                except FileNotFoundError:  # some libraries stop at the first that is missing
                    for path in paths:
                        if self._files.exists(path):
                            self._files.rm_file(path)

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return f"{self._root}/{key}"

    @contextmanager
    def _errors(self, key: str, *, missing_is_unavailable: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if missing_is_unavailable:
                raise StoreUnavailable(self.place, "the place does not exist") from error
            raise ObjectMissing(key) from error
        except Exception as error:  # each library underneath has its own
            raise StoreUnavailable(self.place, str(error) or type(error).__name__) from error

    @staticmethod
    def _without_secrets(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in made:
        sync(each.parent)


def _modified(info: Mapping[str, Any]) -> float:
    """Return when an object was put; the libraries call it differently."""
    for name in ("LastModified", "mtime", "updated", "created"):
        match info.get(name):
            case datetime() as time:
                return time.timestamp()
            case int() | float() as seconds:
                return float(seconds)
            case str() as text:
                return datetime.fromisoformat(text).timestamp()
    raise KeyError("an object without a time")
