"""Labelled image sets: a folder per class, tar shards of such folders, or a JSONL file of paths and labels.

Contract: an image's label is the name of its folder, or what its line says. Order is that of the sorted names or of the
lines, so that it is the same on every machine. Nothing is decoded here: an image that cannot be read is found, and
told, by whoever decodes it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.errors import TrainingSetUnusable

__all__ = ["SUFFIXES", "LabelledFile", "read_folder", "read_images", "read_jsonl", "read_tar"]

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
            raise TrainingSetUnusable(
                f"There is no {source}. Give a folder with a folder per class, a tar of such, or a JSONL file."
            )
        found = False
        for image in _read(source):
            found = True
            yield image
        if not found:
            raise TrainingSetUnusable(f"{source} has no image in a folder that names its class, such as cat/1.jpg.")


def _read(source: Path) -> Iterator[LabelledFile]:
    if source.is_dir():
        return read_folder(source)
    return read_jsonl(source) if source.suffix == ".jsonl" else read_tar(source)


def read_jsonl(path: Path) -> Iterator[LabelledFile]:
    """Yields the images that lines such as `{"file": "a.jpg", "label": "cat"}` name, from the folder of the file.

    Raises:
        TrainingSetUnusable: a line is something else, or its file is not there.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            yield LabelledFile(entry["file"], (path.parent / entry["file"]).read_bytes(), str(entry["label"]))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise TrainingSetUnusable(
                f'{path}, line {number} names no image ({error}). It should be {{"file": …, "label": …}}.'
            ) from error


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
