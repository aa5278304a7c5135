"""Where the files of an ingest lie: a folder, or a URL of an object store that fsspec opens (s3://, gs://, …).

A folder has the files that `semsearch index` would add, read in the same way. On a cluster it must be mounted at the
same path on every machine. A place travels to the workers; each opens its own connection to the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from semsearch.errors import InvalidRequest
from semsearch.folders.exclusions import Exclusions
from semsearch.folders.file_kinds import FileKind, kind_of
from semsearch.folders.path_text import from_text, to_text
from semsearch.folders.reading import NotRead, read
from semsearch.folders.results import CHOSEN
from semsearch.folders.scan import Found, Scan
from semsearch.transport.uploads import MAX_IMAGE_BYTES

# What differs between versions of an object, under the names that the stores' file systems use.
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "updated", "last_modified", "mtime", "created")
_TIMES = ("LastModified", "updated", "last_modified", "mtime", "created")


@dataclass(frozen=True)
class ListedFile:
    """A file or object: its path below the place, its version, and when it was changed (ns), if that is known.

    `problem` says why it cannot be read; "" if it may be.
    """

    path: str
    version: str
    modified_ns: int | None = None
    problem: str = ""


class Unreadable(Exception):
    """A file cannot be read, or is not fit to be sent; the message says why."""


class Place(Protocol):
    """A source of files."""

    @property
    def base_name(self) -> str:
        """The last part of its path."""
        ...

    def files(self) -> Iterator[ListedFile]:
        """Yield the image files; raises OSError if the place cannot be listed."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises Unreadable."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder of this machine."""

    path: Path
    exclude: tuple[str, ...] = ()

    @property
    def base_name(self) -> str:
        """The folder's name."""
        return to_text(self.path.name)

    def files(self) -> Iterator[ListedFile]:
        """Yield the image files; a folder or file that cannot be listed is yielded with its problem."""
        for entry in Scan(self.path, Exclusions(self.exclude), set()):
            if isinstance(entry, Found):
                stamp = entry.stamp
                yield ListedFile(entry.path, f"{stamp.size_bytes} {stamp.mtime_ns} {stamp.ctime_ns}", stamp.mtime_ns)
            elif entry.reason not in CHOSEN:
                yield ListedFile(entry.path, "", problem=entry.problem or entry.reason.value)

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises Unreadable."""
        try:
            return read(self.path / from_text(path)).data
        except NotRead as error:
            raise Unreadable(error.problem) from error


@dataclass(frozen=True)
class ObjectStore:
    """A folder of an object store, or of any file system that fsspec knows."""

    url: str
    exclude: tuple[str, ...] = ()

    @property
    def base_name(self) -> str:
        """The last part of the URL's path: a folder, or the bucket."""
        return self.url.rstrip("/").rpartition("/")[2]

    def files(self) -> Iterator[ListedFile]:
        """Yield the image files; raises OSError if the store does not list them."""
        store, root = _opened(self.url)
        exclusions = Exclusions(self.exclude)
        for _, folders, files in store.walk(root, detail=True, on_error="raise"):
            for name in [name for name in folders if name.startswith(".")]:
                del folders[name]
            for name, about in sorted(files.items()):
                path = to_text(about["name"].removeprefix(root).lstrip("/"))
                if name.startswith(".") or kind_of(name) is not FileKind.IMAGE or exclusions.excludes(path):
                    continue
                yield ListedFile(path, _version(about), _modified_ns(about))

    def read(self, path: str) -> bytes:
        """Return an object's bytes; raises Unreadable."""
        store, root = _opened(self.url)
        try:
            with store.open(f"{root}/{from_text(path)}", "rb") as file:
                content: bytes = file.read(MAX_IMAGE_BYTES + 1)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error
        if not content:
            raise Unreadable("empty file")
        if len(content) > MAX_IMAGE_BYTES:
            raise Unreadable(f"has more than the {MAX_IMAGE_BYTES:,} bytes that an image may have")
        return content


def place_of(text: str, exclude: tuple[str, ...] = ()) -> Place:
    """Return the place that a path or URL names.

    Raises:
        InvalidRequest: there is no such folder, or nothing that opens such a URL is installed.
    """
    if "://" not in text:
        folder = Path(text).absolute()
        if not folder.is_dir():
            raise InvalidRequest(
                f"There is no folder {text}.", hint="Give a folder, or a URL such as s3://bucket/photos."
            )
        return Folder(folder, exclude)
    store = ObjectStore(text, exclude)
    try:
        _opened(text)
    except (ImportError, ValueError) as error:
        raise InvalidRequest(
            f"{text} cannot be opened: {error}.",
            hint='Install "semsearch[ray]", and what opens the store: s3fs for s3://, gcsfs for gs://.',
        ) from error
    return store


def _opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, which fsspec remembers, and the path in it."""
    from fsspec.core import url_to_fs

    store, root = url_to_fs(url)
    return store, str(root).rstrip("/")


def _version(about: Mapping[str, Any]) -> str:
    return " ".join(str(about[name]) for name in ("size", *_VERSIONS) if about.get(name) is not None)


def _modified_ns(about: Mapping[str, Any]) -> int | None:
    for when in (about.get(name) for name in _TIMES):
        if isinstance(when, datetime):
            return int(when.timestamp() * 1e9)
        if isinstance(when, int | float):
            return int(when * 1e9)
    return None
