"""The manifest of an index: its segments, with the size and SHA-256 of each of their files.

The manifest is replaced as a whole; the rename is the commit point of a merge. A segment that it does not name does not
exist, and one that it names is used only if its files match. It is derived data: without it, all segments are rebuilt
from the store.

Hashing gigabytes would delay opening by many seconds, so a file is recognised by its metadata (size, inode,
modification time), which every write changes. Only if these differ, as in a copy, is it hashed before use. Damage by
the disk itself does not change them: after opening, the index hashes every file once in the background.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from index_service.definition import EngineKind
from index_service.errors import StoreTooNew
from serving.durable_files import sha256, write_file

FORMAT_VERSION = 2
MANIFEST_FILE = "manifest.json"


class UnusableManifest(Exception):
    """The manifest cannot be used; recovery catches and reports this, and rebuilds."""


@dataclass(frozen=True)
class FileRecord:
    """A file of a segment; `inode` and `modified_ns` are 0 if read from format version 1, which lacks them."""

    name: str
    size_bytes: int
    sha256: str
    inode: int = 0
    modified_ns: int = 0

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """Return the record of a file's current state."""
        status = path.stat()
        return cls(path.name, status.st_size, sha256(path), status.st_ino, status.st_mtime_ns)

    def untouched(self, folder: Path) -> bool:
        """Return whether the file's metadata shows no write since it was recorded."""
        try:
            status = (folder / self.name).stat()
        except FileNotFoundError:
            return False
        return (status.st_size, status.st_ino, status.st_mtime_ns) == (self.size_bytes, self.inode, self.modified_ns)

    def problem(self, folder: Path) -> str | None:
        """Return what is wrong with the file's content; None if it is as recorded."""
        path = folder / self.name
        if not path.is_file():
            return f"{self.name} is missing"
        if path.stat().st_size != self.size_bytes:
            return f"{self.name} has {path.stat().st_size} bytes instead of {self.size_bytes}"
        if sha256(path) != self.sha256:
            return f"{self.name} does not match its checksum"
        return None


@dataclass(frozen=True)
class SegmentRecord:
    """A segment: the folder's name, and its files."""

    name: str
    engine: EngineKind
    row_count: int
    files: tuple[FileRecord, ...]

    def untouched(self, folder: Path) -> bool:
        """Return whether the files' metadata shows no write since they were recorded."""
        return all(file.untouched(folder) for file in self.files)

    def problem(self, folder: Path) -> str | None:
        """Return what is wrong with the content of the segment's files; None if they are as recorded."""
        return next((problem for file in self.files if (problem := file.problem(folder))), None)

    def refreshed(self, folder: Path) -> SegmentRecord:
        """Return a record of the same files with their current metadata."""
        files = []
        for file in self.files:
            status = (folder / file.name).stat()
            files.append(replace(file, inode=status.st_ino, modified_ns=status.st_mtime_ns))
        return replace(self, files=tuple(files))


@dataclass(frozen=True)
class Manifest:
    """The segments of the store `store_uid`."""

    store_uid: str
    segments: tuple[SegmentRecord, ...] = ()

    def write(self, folder: Path) -> None:
        """Replace the manifest in an index's folder."""
        body = {"format_version": FORMAT_VERSION, **asdict(self)}
        content = json.dumps({**body, "checksum": _checksum(body)}, indent=1)
        write_file(folder / MANIFEST_FILE, content.encode())

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Read the manifest of an index's folder; None if there is none.

        Raises:
            UnusableManifest: it is damaged.
            StoreTooNew: a newer version of this program wrote it.
        """
        path = folder / MANIFEST_FILE
        if not path.exists():
            return None
        try:
            body = json.loads(path.read_bytes())
            checksum = body.pop("checksum")
            if checksum != _checksum(body):
                raise UnusableManifest(f"{path} does not match its checksum")
            if body["format_version"] > FORMAT_VERSION:
                raise StoreTooNew(path, body["format_version"], FORMAT_VERSION)
            return cls(
                body["store_uid"],
                tuple(
                    SegmentRecord(
                        each["name"],
                        EngineKind(each["engine"]),
                        each["row_count"],
                        tuple(FileRecord(**file) for file in each["files"]),
                    )
                    for each in body["segments"]
                ),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnusableManifest(f"{path} cannot be read ({error})") from error


def _checksum(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
