"""Labelled image sets: a folder per class, tar shards of such folders, lists in JSONL or CSV, and Pascal VOC.

Contract: an image's label is the name of its folder, or what its line or annotation says. Order is that of the sorted
names or of the lines, so that it is the same on every machine. Nothing is decoded here: an image that cannot be read is
found, and told, by whoever decodes it. What is missing or malformed around the images is one sentence.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from trainer.data_sets.labelled_file import SUFFIXES, LabelledFile, Split, read_bytes
from trainer.data_sets.listed_files import read_csv, read_jsonl
from trainer.data_sets.voc import is_voc, read_voc
from trainer.errors import TrainingSetUnusable

__all__ = ["SUFFIXES", "LabelledFile", "read_folder", "read_images", "read_tar"]


def read_images(sources: Sequence[Path], split: Split | None = None) -> Iterator[LabelledFile]:
    """Yields the images of data sets, one source after the other.

    ``split``: the side that all of them are on, whatever the sources say.

    Raises:
        TrainingSetUnusable: a source is none of these, cannot be read, or has no image.
    """
    for source in sources:
        if not os.path.lexists(source):
            raise TrainingSetUnusable(
                f"There is no {source}. Give a folder with a folder per class, a tar of such, a JSONL or CSV file of "
                "paths and labels, or a folder of Pascal VOC."
            )
        found = False
        for image in _read(source):
            found = True
            yield image if split is None else replace(image, split=split)
        if not found:
            raise TrainingSetUnusable(f"{source} has no image in a folder that names its class, such as cat/1.jpg.")


def _read(source: Path) -> Iterator[LabelledFile]:
    if os.path.isdir(source):  # noqa: PTH112 - unlike Path's, it does not raise
        return read_voc(source) if is_voc(source) else read_folder(source)
    by_suffix = {".jsonl": read_jsonl, ".csv": read_csv}
    return by_suffix.get(source.suffix.lower(), read_tar)(source)


def read_folder(folder: Path) -> Iterator[LabelledFile]:
    """Yields `<folder>/<class>/**/<image>`; hidden folders are no classes.

    Raises:
        TrainingSetUnusable: a folder cannot be read, or the folder of a class has no image.
    """
    for each in _class_folders(folder):
        paths = _images_below(each)
        if not paths:
            raise TrainingSetUnusable(
                f"The folder {each} has no image, so there is nothing to learn its class from. "
                "Put images into it, or remove it."
            )
        for path in paths:
            yield LabelledFile(str(path.relative_to(folder)), read_bytes(path), (each.name,))


def _class_folders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise _unreadable(error) from error


def _images_below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    try:
        found = (Path(below, name) for below, _, names in os.walk(folder, onerror=refuse) for name in names)
        return sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> TrainingSetUnusable:
    return TrainingSetUnusable(
        f"The folder {error.filename} cannot be read ({error.strerror}), so its images would be missing unseen. "
        "Make it readable, or take it out of the data set."
    )


def read_tar(path: Path) -> Iterator[LabelledFile]:
    """Yields the members `<class>/<image>` of a tar file, plain or compressed, in one pass from front to back.

    Raises:
        TrainingSetUnusable: it is no tar file, cannot be read, or breaks off in the middle.
    """
    try:
        with tarfile.open(path, "r|*") as shard:
            for member in shard:
                name = PurePosixPath(member.name.removeprefix("./"))
                if member.isfile() and name.suffix.lower() in SUFFIXES and len(name.parts) > 1:
                    file = shard.extractfile(member)
                    if file is not None:
                        yield LabelledFile(f"{path.name}/{name}", file.read(), (name.parts[0],))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TrainingSetUnusable(f"{path} is no tar file, or is cut off: {error}.") from error
