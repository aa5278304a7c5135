"""Objects in a place that a URL names: a folder, S3, Google Cloud Storage or memory, through fsspec.

A key is a relative path: letters, digits and `._-`, in parts divided by "/".

Contract, in every place:
1. An object is there completely or not at all. `put` replaces one atomically, and it is durable when `put` returns.
2. What was put, deleted or listed is seen by every later call, from any machine. S3 and Google promise it for each
   object; nothing is promised about several objects together.
3. No listing and no content is kept in memory between calls.
4. A request that the store refuses for now, or whose answer ends half-way, is repeated a few times, within `seconds`.
   What still fails is `StoreUnavailable`: then a put or a delete may have happened or not.

The methods block; call them on a thread. Any number of threads may share a store.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.local import LocalFileSystem

from serving.durable_files import is_temporary, sync, write_file
from serving.url_secrets import without_secrets

CONNECT_SECONDS = 5
# Without a byte of an answer.
READ_SECONDS = 15
CALL_SECONDS = 600.0
# Of the request; and of reading the whole answer, each time with that many attempts at the request.
ATTEMPTS = 3
READS = 2
CONNECTIONS = 32
# S3 deletes at most this many objects with one request.
_DELETED_AT_ONCE = 1_000
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_NO_BUCKET = "NoSuchBucket"
# Of botocore, which is loaded only when S3 is used.
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")
_S3 = ("s3", "s3a")
_GOOGLE = ("gs", "gcs")
# No caches, neither of file systems nor of listings: other machines change what is there.
_OPTIONS: Mapping[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
_S3_OPTIONS: Mapping[str, Any] = {
    "config_kwargs": {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "max_pool_connections": CONNECTIONS,
        "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
    },
    # More would ask for an object's size before each get, to fetch its parts side by side.
    "max_concurrency": 1,
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


class BucketMissing(FileNotFoundError):
    """The bucket that holds the objects is missing."""


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

    def __init__(self, url: str, seconds: float = CALL_SECONDS) -> None:
        """Open the place at a URL, or at a plain path; a folder is made when something is put.

        Args:
            url: For example `s3://bucket/prefix`.
            seconds: How long a call may take, with everything that is asked for again.

        Raises:
            StoreUnusable: the URL is malformed, the library for its kind is not installed, or Google's finds no
                credentials.
        """
        scheme = urlsplit(url).scheme
        self._is_s3, self._is_google = scheme in _S3, scheme in _GOOGLE
        try:
            if self._is_google:
                self._files, root = _google(url)
            else:
                self._files, root = fsspec.core.url_to_fs(url, **_OPTIONS, **(_S3_OPTIONS if self._is_s3 else {}))
        except (ImportError, PermissionError, ValueError) as error:
            problem = str(error).rstrip(".")
            raise StoreUnusable(f"{without_secrets(url)} cannot be opened: {problem}.") from error
        self._root = str(root).rstrip("/")
        self._is_folder = isinstance(self._files, LocalFileSystem)
        if self._is_s3:
            self._files.retries = READS
        # Only libraries that wait for a network can stop waiting.
        self._within = {"timeout": seconds} if isinstance(self._files, AsyncFileSystem) else {}
        self.place = without_secrets(url)

    @property
    def folder(self) -> Path | None:
        """The folder that holds the objects, if it is on this machine."""
        return Path(self._root) if self._is_folder else None

    def check(self) -> None:
        """Put, list, read and delete a small object.

        Raises:
            StoreUnusable: the place does not exist, or its permissions do not allow that.
            StoreUnavailable: it does not answer.
        """
        folder = f"check-{uuid.uuid4().hex}/"
        try:
            self.put(f"{folder}object", b"semsearch")
            for found in self.list(folder):
                self.get(found.key)
            self.delete([f"{folder}object"])
        except (ObjectMissing, StoreUnavailable) as error:
            cause = error.__cause__
            if isinstance(cause, PermissionError) or type(cause).__name__ in _NO_CREDENTIALS:
                problem = str(cause).rstrip(".")
                raise StoreUnusable(
                    f"{self.place} refuses to be written and read: {problem}. Check the credentials and permissions."
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
                self._files.pipe_file(path, content, **self._within)

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of an object from `start` to before `end`; fewer if it ends earlier.

        Raises:
            ObjectMissing, StoreUnavailable
        """
        path = self._path(key)
        with self._errors(key):
            if start == 0 and end is None:
                content = self._files.cat_file(path, **self._within)
            else:
                content = self._files.cat_file(path, start=start, end=end, **self._within)
        return bytes(content)

    def info(self, key: str) -> ObjectInfo:
        """Return an object's size and time.

        Raises:
            ObjectMissing, StoreUnavailable
        """
        with self._errors(key):
            found = self._files.info(self._path(key), **self._within)
        if found["type"] != "file":
            raise ObjectMissing(key)
        return ObjectInfo(key, int(found["size"]), _modified(found))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects in a folder, which is "" for all or ends with "/", and in the folders below it.

        The listing is read at once, 200 bytes an object.

        Raises:
            StoreUnavailable
        """
        try:
            with self._errors(prefix):
                found = self._find(prefix)
        except ObjectMissing:
            return
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
            with self._errors(keys[start], missing_is_unavailable=True):
                if self._is_folder:
                    for path in paths:
                        Path(path).unlink(missing_ok=True)
                elif self._is_s3:
                    self._delete_from_s3(paths)
                elif self._is_google:
                    self._files.rm_each(paths, **self._within)
                else:
                    self._delete_each(paths)

    def _find(self, prefix: str) -> Mapping[str, Any]:
        """Return what is below a folder by path."""
        if prefix and self._within:
            # One request. Without a prefix, an empty answer makes the libraries ask whether the folder is a file.
            found = self._files.find(self._root, prefix=prefix, detail=True, **self._within)
        else:
            found = self._files.find(f"{self._root}/{prefix}".rstrip("/"), detail=True, **self._within)
        return cast("Mapping[str, Any]", found)

    def _delete_from_s3(self, paths: Sequence[str]) -> None:
        """Delete objects with one request; the library's own deletion does not tell which the store refused."""
        bucket = paths[0].partition("/")[0]
        objects = [{"Key": path.partition("/")[2]} for path in paths]
        answer = self._files.call_s3(
            "delete_objects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True}, **self._within
        )
        for refused in answer.get("Errors", []):
            problem = f"{refused.get('Key')} cannot be deleted: {refused.get('Message') or refused.get('Code')}"
            raise PermissionError(problem) if refused.get("Code") == "AccessDenied" else OSError(problem)

    def _delete_each(self, paths: Sequence[str]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                self._files.rm_file(path, **self._within)

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return f"{self._root}/{key}"

    @contextmanager
    def _errors(self, key: str, *, missing_is_unavailable: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if missing_is_unavailable or isinstance(error, BucketMissing) or _NO_BUCKET in str(error.__cause__):
                raise StoreUnavailable(self.place, "the place does not exist") from error
            raise ObjectMissing(key) from error
        except FSTimeoutError as error:
            raise StoreUnavailable(self.place, f"no answer in {self._within['timeout']:g} s") from error
        except Exception as error:  # each library underneath has its own
            raise StoreUnavailable(self.place, str(error) or type(error).__name__) from error


def _google(url: str) -> tuple[Any, str]:
    """Return the file system of Google Cloud Storage and a path in it."""
    try:
        from serving.google_files import GoogleFiles
    except ImportError as error:
        raise ImportError(f"{error}. Install the suite's extra gcs") from error
    return GoogleFiles(**_OPTIONS), GoogleFiles._strip_protocol(url)


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
