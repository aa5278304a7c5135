"""Adds the images of a folder to a collection, and sends nothing that is there already.

1. `find_new` compares the folder with the collection. A file is there already if the collection has an image with its
   path, size and modification time (as rsync decides), or with the same bytes.
2. `send` uploads the others. An image that was answered is durable, so an interrupted run continues where it was when
   both steps are done again.

The attributes of an image are "path" (relative to the folder), "name", "folder" and "modified".
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from semsearch.client import Client
from semsearch.folder import LocalFile, Unreadable
from semsearch.upload_stream import MAX_IMAGE_BYTES
from semsearch.values import Attributes, Upload, UploadResult


class Outcome(enum.Enum):
    """What became of a file."""

    ADDED = "added"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    FAILED = "failed"


@dataclass(frozen=True)
class FileResult:
    """What became of a file: `id` is its image's; `reason` and `problem` say why it failed."""

    path: str
    outcome: Outcome
    id: str = ""
    reason: str = ""
    problem: str = ""


AttributesOf = Callable[[LocalFile], Attributes]


def no_attributes(_: LocalFile) -> Attributes:
    """Add nothing to the attributes that every image has."""
    return {}


def unreadable_result(entry: Unreadable) -> FileResult:
    """Return the result of a file or folder that could not even be listed."""
    return FileResult(entry.relative, Outcome.FAILED, reason="UNREADABLE", problem=entry.problem)


class FolderIndex:
    """Adds folders to one collection.

    `attributes_of` adds to the attributes of each image. Every method raises `SemsearchError`.
    """

    def __init__(self, client: Client, collection: str = "", attributes_of: AttributesOf = no_attributes) -> None:
        self._client = client
        self._collection = collection
        self._attributes_of = attributes_of

    def find_new(self, files: Sequence[LocalFile]) -> Iterator[tuple[LocalFile, FileResult | None]]:
        """Yield each file with None if it is new, or with its result if it is there already or cannot be read."""
        by_place: dict[tuple[object, int, object], str] = {}
        by_bytes: dict[str, str] = {}
        sizes: set[int] = set()
        for image in self._client.list_images(collection=self._collection):
            place = (image.attributes.get("path"), image.size_bytes, image.attributes.get("modified"))
            by_place[place] = image.id
            by_bytes[image.sha256] = image.id
            sizes.add(image.size_bytes)
        for file in files:
            known = by_place.get((file.relative, file.size_bytes, file.modified))
            if known is None and file.size_bytes in sizes:
                try:
                    known = by_bytes.get(_sha256(file.path))
                except OSError as error:
                    yield file, _unreadable(file, error)
                    continue
            yield file, None if known is None else FileResult(file.relative, Outcome.UNCHANGED, known)

    def send(self, files: Sequence[LocalFile]) -> Iterator[FileResult]:
        """Upload files and yield what became of each. Files that cannot be read may be out of order."""
        sent: list[LocalFile] = []
        unread: list[FileResult] = []

        def uploads() -> Iterator[Upload]:
            for file in files:
                if file.size_bytes > MAX_IMAGE_BYTES:
                    problem = f"has {file.size_bytes:,} bytes, and an image may have {MAX_IMAGE_BYTES:,}"
                    unread.append(FileResult(file.relative, Outcome.FAILED, "", "IMAGE_TOO_LARGE", problem))
                    continue
                try:
                    content = file.path.read_bytes()
                except OSError as error:
                    unread.append(_unreadable(file, error))
                    continue
                sent.append(file)
                yield Upload(content, attributes={**_attributes(file), **self._attributes_of(file)})

        for result in self._client.index_images(uploads(), collection=self._collection):
            while unread:
                yield unread.pop(0)
            yield _result(sent[result.number], result)
        yield from unread


def _attributes(file: LocalFile) -> Attributes:
    place = PurePosixPath(file.relative)
    return {
        "path": file.relative,
        "name": place.name,
        "folder": place.parent.as_posix(),
        "modified": file.modified,
    }


def _result(file: LocalFile, result: UploadResult) -> FileResult:
    if result.error is not None:
        return FileResult(file.relative, Outcome.FAILED, "", result.error.reason, result.error.message)
    outcome = Outcome.DUPLICATE if result.duplicate_of else Outcome.ADDED
    return FileResult(file.relative, outcome, result.id)


def _unreadable(file: LocalFile, error: OSError) -> FileResult:
    return FileResult(file.relative, Outcome.FAILED, "", "UNREADABLE", error.strerror or str(error))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
