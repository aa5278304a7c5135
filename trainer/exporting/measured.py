"""The pictures that a bundle is measured on, decoded as the embedder decodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import ImageError
from model.images import Resize, decode
from trainer.data_sets.reading import LabelledFile
from trainer.errors import TrainingSetUnusable
from trainer.labels.class_words import ClassWords
from trainer.labels.padding import padded_labels

__all__ = ["Measured", "read_measured"]


@dataclass(frozen=True)
class Measured:
    """What a bundle is measured on: uint8 (n, size, size, 3), and int64 (n, most) labels, as ``Truth`` has them.

    ``typical`` (n): the images that the curves are fitted on; None means all. ``closed``
    (n): the images whose labels name all that they show, which alone can tell that a word matches nothing; None means
    all. ``keys`` (n): where each was found; may be empty.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[ClassWords, ...]
    typical: NDArray[np.bool_] | None = None
    closed: NDArray[np.bool_] | None = None
    keys: tuple[str, ...] = ()

    def name(self, image: int) -> str:
        """What people know an image by."""
        return self.keys[image] if self.keys else f"picture {image + 1}"

    def words(self, image: int) -> tuple[str, ...]:
        """The words of the classes that an image shows."""
        return tuple(self.classes[label].word for label in self.labels[image] if label >= 0)

    def by_turns(self, most: int) -> NDArray[np.int64]:
        """The first image of each class, by first labels, then the second ones, and so on, up to so many."""
        turn = np.empty(len(self.labels), dtype=np.int64)
        for label in np.unique(self.labels[:, 0]):
            images = np.flatnonzero(self.labels[:, 0] == label)
            turn[images] = np.arange(len(images))
        return np.argsort(turn, kind="stable")[:most].astype(np.int64)


def read_measured(
    images: Iterable[LabelledFile],
    classes: Sequence[ClassWords],
    input_size: int,
    resize: Resize,
    on_left_out: Callable[[str], None] = lambda image: None,
) -> Measured:
    """Decode labelled images.

    ``on_left_out`` hears of each image that cannot be read, or that has no label: its key, a tab, why.

    Raises:
        TrainingSetUnusable: an image has a class that is not among ``classes``, or none can be measured.
    """
    position = {each.name: number for number, each in enumerate(classes)}
    pixels, labels, keys = [], [], []
    for image in images:
        if not image.labels:
            on_left_out(f"{image.key}\tIt has no label.")
            continue
        if unknown := [label for label in image.labels if label not in position]:
            raise TrainingSetUnusable(f"{image.key} is of {unknown[0]!r}, which the labels do not have. Add the class.")
        try:
            pixels.append(decode(image.content, size=input_size, resize=resize).pixels)
        except ImageError as error:
            on_left_out(f"{image.key}\t{error}")
            continue
        labels.append([position[label] for label in image.labels])
        keys.append(image.key)
    if not labels:
        raise TrainingSetUnusable("None of the images can be measured: each is unreadable, or has no label.")
    return Measured(np.stack(pixels), padded_labels(labels), tuple(classes), keys=tuple(keys))
