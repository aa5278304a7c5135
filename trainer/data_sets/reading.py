"""Read labelled image sets: folders per class, tar files of such, lists in JSONL or CSV, and Pascal VOC.

Contract: an image's label is the name of its folder, or what its line or annotation says. Order is that of the sorted
names or of the lines, so that it is the same on every machine. Nothing is decoded here: an unreadable image is found
later, on decoding. Missing or malformed metadata is reported in one sentence.

Lists: one line per image with its path, relative to the list's folder, its labels and its side. A wrong line, or one
whose file is missing, is refused by its number: a program writes the list, so an error is systematic.

Pascal VOC (Everingham et al. 2010): `Annotations/<name>.xml` belongs to `JPEGImages/<its filename>`; an image's labels
are the names of its objects, each once, in the order of the file. `ImageSets/Main/train.txt` and `val.txt` give the
sides; where both exist, images that neither names (VOC's test images) are not part of the data set.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Literal

# expat has refused entities that grow without bound since 2.4.1.
from xml.etree import ElementTree

from trainer.errors import TrainingSetUnusable

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
Split = Literal["train", "validation"]
_SPLITS: dict[str, Split | None] = {"": None, "train": "train", "val": "validation", "validation": "validation"}
_JSONL = '{"file": "a.jpg", "label": "cat"}, or "labels": ["cat", "sofa"]; "split" may be "train" or "validation"'
_CSV = "file, label or labels (cat|sofa), and split (train or validation) if there is one, as the first line names them"
_LISTS: tuple[tuple[str, Split], ...] = (("train.txt", "train"), ("val.txt", "validation"))


@dataclass(frozen=True)
class LabelledFile:
    """An image file: where it was found, its bytes, the names of its classes (each once), and its side if it has one.

    Only an annotation without objects leaves an image without labels.
    """

    key: str
    content: bytes
    labels: tuple[str, ...]
    split: Split | None = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 of its bytes, which identifies an image."""
        return hashlib.sha256(self.content).digest()

    @property
    def label(self) -> str:
        """The name of its only class.

        Raises:
            TrainingSetUnusable: it has several labels, or none.
        """
        if len(self.labels) != 1:
            named = ", ".join(self.labels) or "none"
            raise TrainingSetUnusable(
                f"The image {self.key} has {len(self.labels)} labels ({named}), and the measurement needs one. "
                "Leave it out, or name the one label to use."
            )
        return self.labels[0]


def split_of(text: str | None) -> Split | None:
    """Return the side that a data set's file names: train, val or validation; None if it names none.

    Raises:
        ValueError: it is any other word.
    """
    try:
        return _SPLITS[(text or "").strip().lower()]
    except KeyError:
        raise ValueError(f"the split {text!r} is neither train nor validation") from None


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        TrainingSetUnusable: the file cannot be read; its content is not checked.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrainingSetUnusable(
            f"The file {path} cannot be opened ({error.strerror}). Make it readable, or take it out of the data set."
        ) from error


def read_images(sources: Sequence[Path], split: Split | None = None) -> Iterator[LabelledFile]:
    """Yield the images of data sets, source by source.

    `split`: the side that all of them are on, whatever the sources say.

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


@dataclass(frozen=True)
class DataSets:
    """Data sets with and without a side of their own; every iteration reads them anew, here or in another process."""

    sources: tuple[Path, ...]
    validation: tuple[Path, ...] = ()
    only_labelled: bool = False

    def __iter__(self) -> Iterator[LabelledFile]:
        """Yield the images. Raises as `read_images`."""
        for image in chain(read_images(self.sources), read_images(self.validation, "validation")):
            if image.labels or not self.only_labelled:
                yield image

    def labelled(self) -> DataSets:
        """Return the same without the images that have no label."""
        return replace(self, only_labelled=True)


def _read(source: Path) -> Iterator[LabelledFile]:
    if os.path.isdir(source):  # noqa: PTH112 - unlike Path's, it does not raise
        return read_voc(source) if is_voc(source) else read_folder(source)
    by_suffix = {".jsonl": read_jsonl, ".csv": read_csv}
    return by_suffix.get(source.suffix.lower(), read_tar)(source)


def read_folder(folder: Path) -> Iterator[LabelledFile]:
    """Yield `<folder>/<class>/**/<image>`; hidden folders are not classes.

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
        f"The folder {error.filename} cannot be read ({error.strerror}), so its images would be missed. "
        "Make it readable, or take it out of the data set."
    )


def read_tar(path: Path) -> Iterator[LabelledFile]:
    """Yield the members `<class>/<image>` of a tar file, plain or compressed, in one pass from front to back.

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
        raise TrainingSetUnusable(f"{path} is not a tar file, or is cut off: {error}.") from error


def read_jsonl(path: Path) -> Iterator[LabelledFile]:
    """Yield the images of lines such as `{"file": "a.jpg", "labels": ["cat", "sofa"], "split": "train"}`.

    Raises:
        TrainingSetUnusable: a line is something else, or its file cannot be read.
    """
    for number, line in _lines(path):
        try:
            entry = json.loads(line)
            labels = entry["labels"] if "labels" in entry else [entry["label"]]
            if not isinstance(labels, list):
                raise TypeError("labels are not a list")  # noqa: TRY301
            yield _image(path, entry["file"], [str(label) for label in labels], entry.get("split"))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise _refused(path, number, error, _JSONL) from error


def read_csv(path: Path) -> Iterator[LabelledFile]:
    """Yield the images of a CSV file with the columns file (or path), label (or labels, separated by "|") and split.

    Raises:
        TrainingSetUnusable: a line is something else, or its file cannot be read.
    """
    rows = csv.DictReader(line for _, line in _lines(path))
    try:
        for row in rows:
            yield _row_image(path, row)
    except (ValueError, KeyError, TypeError, OSError, csv.Error) as error:
        raise _refused(path, rows.line_num, error, _CSV) from error


def _row_image(path: Path, row: Mapping[str, str | None]) -> LabelledFile:
    file, labels = row.get("file", row.get("path")), row.get("labels", row.get("label"))
    if not file or labels is None:
        raise KeyError("file" if not file else "label")
    return _image(path, file, labels.split("|"), row.get("split"))


def _image(path: Path, file: str, labels: list[str], split: Any) -> LabelledFile:
    distinct = tuple(dict.fromkeys(label.strip() for label in labels))
    if not distinct or "" in distinct:
        raise ValueError("a label is empty")
    return LabelledFile(file, (path.parent / file).read_bytes(), distinct, split_of(split))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from enumerate(file, start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingSetUnusable(f"{path} cannot be read as UTF-8 text ({error}). Write the list again.") from error


def _refused(path: Path, number: int, error: Exception, wanted: str) -> TrainingSetUnusable:
    return TrainingSetUnusable(f"{path}, line {number} names no image ({error}). It should be {wanted}.")


def is_voc(folder: Path) -> bool:
    """Return whether a folder has the layout."""
    return all(os.path.isdir(folder / name) for name in ("Annotations", "JPEGImages"))  # noqa: PTH112 - never raises


def read_voc(folder: Path) -> Iterator[LabelledFile]:
    """Yield the images by the sorted names of their annotations.

    Raises:
        TrainingSetUnusable: an annotation or its image is missing or malformed, or an image is on both sides.
    """
    lists = {split: _names(folder / "ImageSets" / "Main" / file) for file, split in _LISTS}
    sides = _sides(folder, lists)
    listed = all(names is not None for names in lists.values())
    names = sides if listed else (path.stem for path in (folder / "Annotations").glob("*.xml"))
    for name in sorted(names):
        file, labels = _annotation(folder / "Annotations" / f"{name}.xml")
        path = folder / "JPEGImages" / Path(file).name
        yield LabelledFile(f"JPEGImages/{path.name}", read_bytes(path), labels, sides.get(name))


def _names(path: Path) -> list[str] | None:
    """Return the first word of each line of a list (class lists have a second); None if there is no list."""
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()] if path.exists() else None


def _sides(folder: Path, lists: Mapping[Split, list[str] | None]) -> dict[str, Split]:
    sides: dict[str, Split] = {}
    for split, names in lists.items():
        for name in names or ():
            if sides.setdefault(name, split) != split:
                raise TrainingSetUnusable(
                    f"{folder / 'ImageSets' / 'Main'} has {name} in train.txt and in val.txt, so training images "
                    "would be used for measuring. Take it out of one of them."
                )
    return sides


def _annotation(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the name of the image's file, and its labels."""
    try:
        root = ElementTree.fromstring(read_bytes(path))  # noqa: S314
    except ElementTree.ParseError as error:
        raise TrainingSetUnusable(f"{path} is not XML ({error}). Repair it, or remove it with its image.") from error
    labels = [(each.findtext("name") or "").strip() for each in root.iter("object")]
    if "" in labels:
        raise TrainingSetUnusable(f"{path} has an object without a name. Name it, or remove the object.")
    return (root.findtext("filename") or f"{path.stem}.jpg").strip(), tuple(dict.fromkeys(labels))
