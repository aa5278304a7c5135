"""What a backup consists of: its manifest, the only object that is written last, and lists of images.

    objects/<2 hex>/<64 hex>    any content, named by its SHA-256: images, lists of them, parts of indexes and models
    parts/<2 hex>/<64 hex>      of a part of an index: where the list of its images is; all of them have been copied
    backups/<id>.json           a manifest; its id ends with the beginning of its own SHA-256

Several backups share a place and their objects. An object exists before what names it.

Checksums show damage, and not who made a backup: whoever can write to the place can make one whose checksums are right.
So what is read has only names that lead to objects of the place and to images.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError

from gateway.backups.errors import BackupDamaged, BackupTooNew

FORMAT_VERSION = 1
# The most bytes in a piece of a model's file.
PIECE_BYTES = 8 * 2**20
ID = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-f]{12}")
_DIGITS = 12
_TIME = "%Y%m%dT%H%M%S.%f%z"

# In lower-case hex.
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class StoredObject:
    """An object: the SHA-256 of its content, and its size in bytes."""

    sha256: Sha256
    size: int


@dataclass(frozen=True)
class SavedFile:
    """A file of a model, in pieces."""

    name: str
    pieces: tuple[StoredObject, ...]


@dataclass(frozen=True)
class SavedModel:
    """A model."""

    id: str
    files: tuple[SavedFile, ...]


@dataclass(frozen=True)
class SavedImage:
    """An image; what was kept elsewhere, or could not be read when the backup was made, is None.

    Its SHA-256 is that of its original.
    """

    sha256: Sha256
    original: StoredObject | None
    thumbnail: StoredObject | None

    def __post_init__(self) -> None:
        if self.original is not None and self.original.sha256 != self.sha256:
            raise ValueError("the original is that of another image")


@dataclass(frozen=True)
class SavedPart:
    """A part of an index, and the list of the images that it names, None if it names none."""

    items: StoredObject
    images: StoredObject | None


@dataclass(frozen=True)
class SavedIndex:
    """An index."""

    name: str
    model_id: str
    aliases: tuple[str, ...]
    item_count: int
    parts: tuple[SavedPart, ...]


@dataclass(frozen=True)
class Manifest:
    """A backup.

    `bytes` counts each object of this backup once for each use. `missing_images` could not be read when it was made.
    """

    format_version: int
    create_time: datetime
    active_model: str
    models: tuple[SavedModel, ...]
    indexes: tuple[SavedIndex, ...]
    image_count: int
    bytes: int
    missing_images: int


@dataclass(frozen=True)
class _Format:
    """What a manifest of every version says."""

    format_version: int


_FORMAT = TypeAdapter(_Format)
_MANIFEST = TypeAdapter(Manifest)
_IMAGES = TypeAdapter(tuple[SavedImage, ...])
_OBJECT = TypeAdapter(StoredObject)


def stored(content: bytes) -> StoredObject:
    """Return the description of an object with this content."""
    return StoredObject(hashlib.sha256(content).hexdigest(), len(content))


def object_key(sha256: str) -> str:
    """Return the key of an object."""
    return f"objects/{sha256[:2]}/{sha256}"


def part_key(sha256: str) -> str:
    """Return the key of what is known of a part."""
    return f"parts/{sha256[:2]}/{sha256}"


def manifest_key(backup_id: str) -> str:
    """Return the key of a manifest."""
    return f"backups/{backup_id}.json"


def manifest_to_json(manifest: Manifest) -> tuple[str, bytes]:
    """Return the id and the text of a manifest."""
    text = _MANIFEST.dump_json(manifest)
    time = f"{manifest.create_time:%Y%m%dT%H%M%S}.{manifest.create_time.microsecond // 1_000:03}Z"
    return f"{time}-{hashlib.sha256(text).hexdigest()[:_DIGITS]}", text


def manifest_from_json(backup_id: str, text: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        BackupDamaged: the text is not the one that the id names, or is malformed.
        BackupTooNew: it has a newer format.
    """
    key, what = manifest_key(backup_id), f"the manifest of the backup {backup_id}"
    if hashlib.sha256(text).hexdigest()[:_DIGITS] != backup_id.rpartition("-")[2]:
        raise BackupDamaged(key, what)
    try:
        if _FORMAT.validate_json(text).format_version > FORMAT_VERSION:
            raise BackupTooNew(backup_id)
        return _MANIFEST.validate_json(text)
    except ValidationError as error:
        raise BackupDamaged(key, what, malformed=True) from error


def time_of(backup_id: str) -> datetime:
    """Return the moment that a backup shows, to the millisecond, from its id."""
    return datetime.strptime(backup_id.rpartition("-")[0], _TIME)


def images_to_json(images: tuple[SavedImage, ...]) -> bytes:
    """Return the text of a list of images."""
    return _IMAGES.dump_json(images)


def images_from_json(text: bytes) -> tuple[SavedImage, ...]:
    """Read a list of images; raises `ValueError` if it is malformed."""
    return _IMAGES.validate_json(text)


def object_to_json(each: StoredObject) -> bytes:
    """Return the text of an object's description."""
    return _OBJECT.dump_json(each)


def object_from_json(text: bytes) -> StoredObject | None:
    """Read an object's description; None if it is damaged."""
    try:
        return _OBJECT.validate_json(text)
    except ValidationError:
        return None
