"""Labelled image sets: a folder per class, or tar shards of such folders.

Contract: an image's label is the name of its folder. Order is that of the sorted names, so that it is the same on every
machine. Nothing is decoded here: an image that cannot be read is found, and told, by whoever decodes it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.errors import TrainingSetUnusable

__all__ = ["SUFFIXES", "LabelledFile", "read_folder", "read_images", "read_tar"]

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class LabelledFile:
    """An image file: where it was found, its bytes, and the name of its class."""

    key: str
    content: bytes
    label: str


def read_images(sources: Sequence[Path]) -> Iterator[LabelledFile]:
    """Yields the images of folders and tar files, one source after the other.

    Raises:
        TrainingSetUnusable: a source is neither, or has no image in a folder that names its class.
    """
    for source in sources:
        if not source.exists():
            raise TrainingSetUnusable(f"There is no {source}. Give a folder with a folder per class, or a tar of such.")
        found = False
        for image in read_folder(source) if source.is_dir() else read_tar(source):
            found = True
            yield image
        if not found:
            raise TrainingSetUnusable(f"{source} has no image in a folder that names its class, such as cat/1.jpg.")


def read_folder(folder: Path) -> Iterator[LabelledFile]:
    """Yields `<folder>/<class>/**/<image>`."""
    for path in sorted(folder.glob("*/**/*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            key = path.relative_to(folder)
            yield LabelledFile(str(key), path.read_bytes(), key.parts[0])


def read_tar(path: Path) -> Iterator[LabelledFile]:
    """Yields the members `<class>/<image>` of a tar file, plain or compressed, in one pass from front to back.

    Raises:
        TrainingSetUnusable: it is no tar file, or breaks off in the middle.
    """
    try:
        with tarfile.open(path, "r|*") as shard:
            for member in shard:
                name = PurePosixPath(member.name.removeprefix("./"))
                if member.isfile() and name.suffix.lower() in SUFFIXES and len(name.parts) > 1:
                    file = shard.extractfile(member)
                    if file is not None:
                        yield LabelledFile(f"{path.name}/{name}", file.read(), name.parts[0])
    except tarfile.TarError as error:
        raise TrainingSetUnusable(f"{path} is no tar file, or is cut off: {error}.") from error
