"""Data sets in the layout of Pascal VOC (Everingham et al. 2010): an XML file an image, with the objects it shows.

Contract: `Annotations/<name>.xml` belongs to `JPEGImages/<its filename>`; an image's labels are the names of its
objects, each once, in the order of the file. `ImageSets/Main/train.txt` and `val.txt` give the sides; where both exist,
images that neither names (VOC's test images) are not part of the data set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

# expat has refused entities that grow without bound since 2.4.1.
from xml.etree import ElementTree

from trainer.data_sets.labelled_file import LabelledFile, Split, read_bytes
from trainer.errors import TrainingSetUnusable

__all__ = ["is_voc", "read_voc"]

_LISTS: tuple[tuple[str, Split], ...] = (("train.txt", "train"), ("val.txt", "validation"))


def is_voc(folder: Path) -> bool:
    """Whether a folder has the layout."""
    return all(os.path.isdir(folder / name) for name in ("Annotations", "JPEGImages"))  # noqa: PTH112 - never raises


def read_voc(folder: Path) -> Iterator[LabelledFile]:
    """Yields the images by the sorted names of their annotations.

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
    """What a list names, the first word of each line (class lists have a second); None where there is none."""
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()] if path.exists() else None


def _sides(folder: Path, lists: Mapping[Split, list[str] | None]) -> dict[str, Split]:
    sides: dict[str, Split] = {}
    for split, names in lists.items():
        for name in names or ():
            if sides.setdefault(name, split) != split:
                raise TrainingSetUnusable(
                    f"{folder / 'ImageSets' / 'Main'} has {name} in train.txt and in val.txt, so what is learnt "
                    "would be measured on itself. Take it out of one of them."
                )
    return sides


def _annotation(path: Path) -> tuple[str, tuple[str, ...]]:
    """The name of the image's file, and its labels."""
    try:
        root = ElementTree.fromstring(read_bytes(path))  # noqa: S314
    except ElementTree.ParseError as error:
        raise TrainingSetUnusable(f"{path} is no XML ({error}). Mend it, or remove it with its image.") from error
    labels = [(each.findtext("name") or "").strip() for each in root.iter("object")]
    if "" in labels:
        raise TrainingSetUnusable(f"{path} has an object without a name. Name it, or remove the object.")
    return (root.findtext("filename") or f"{path.stem}.jpg").strip(), tuple(dict.fromkeys(labels))
