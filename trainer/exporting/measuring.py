"""Measure a bundle's networks on pictures: the vectors and their quality, size and speed.

Contract: pictures are decoded as in the embedder. Compared networks are measured on the same pictures by the same code.
Times are for one picture at a time, on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from model.bundle.reading import WordTable
from model.errors import ImageError
from model.images import Resize, decode
from model.networks.network import Network
from trainer.data_sets.reading import LabelledFile
from trainer.errors import BundleUnsearchable, TrainingSetUnusable
from trainer.labels.class_words import ClassWords
from trainer.labels.space import padded_labels, vocabulary_of
from trainer.measures.evaluate import Evaluation, evaluate
from trainer.measures.figures import shown
from trainer.measures.truth import Truth

_BATCH = 64
_TIMED = 16
_FIGURES = ("hit@1", "hit@5", "word_hit@1", "label_precision@10", "image_precision@10", "tagged@5")


@dataclass(frozen=True)
class Measured:
    """The data that a bundle is measured on: uint8 (n, size, size, 3), and int64 (n, most) labels, as `Truth` has them.

    `typical` (n): the images that the curves are fitted on; None means all. `closed` (n): the images whose labels name
    everything they show, so only these can prove that a word matches nothing; None means all. `keys` (n): where each
    was found; may be empty.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[ClassWords, ...]
    typical: NDArray[np.bool_] | None = None
    closed: NDArray[np.bool_] | None = None
    keys: tuple[str, ...] = ()

    def name(self, image: int) -> str:
        """Return an image's name for people."""
        return self.keys[image] if self.keys else f"picture {image + 1}"

    def words(self, image: int) -> tuple[str, ...]:
        """Return the words of the classes that an image shows."""
        return tuple(self.classes[label].word for label in self.labels[image] if label >= 0)

    def by_turns(self, most: int) -> NDArray[np.int64]:
        """Return the first image of each class, by first labels, then the second ones, and so on, up to `most`."""
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

    `on_left_out` gets each image that cannot be read, or that has no label: its key, a tab, the reason.

    Raises:
        TrainingSetUnusable: an image has a class that is not among `classes`, or none can be measured.
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


@dataclass(frozen=True)
class MeasuredNetworks:
    """`bytes`: of both files. `milliseconds`: the median for one picture at a time. `truth`: the embedded pictures."""

    feature_dimension: int
    bytes: int
    milliseconds: float
    truth: Truth
    evaluation: Evaluation


def measure_networks(
    network: Network, files: Iterable[Path], words: WordTable, measured: Measured, nearest_kinds: int
) -> MeasuredNetworks:
    """Run the network of some files over the pictures.

    Raises:
        BundleUnsearchable: its vectors are not finite.
        EvaluationImpossible: the pictures show fewer than two classes.
    """
    pixels = measured.pixels
    vectors = np.concatenate([network(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)])
    if not np.isfinite(vectors).all():
        raise BundleUnsearchable(
            "The head makes vectors of pictures that are not numbers, so no search would find them. Train it again, "
            "with a lower learning rate."
        )
    truth = Truth(vectors, measured.labels, measured.classes)
    return MeasuredNetworks(
        feature_dimension=network.feature_dimension,
        bytes=sum(file.stat().st_size for file in files),
        milliseconds=_milliseconds(network, pixels),
        truth=truth,
        evaluation=evaluate(truth, vocabulary_of(words), words.taggable, nearest_kinds),
    )


def cosines(one: MeasuredNetworks, other: MeasuredNetworks) -> NDArray[np.float32]:
    """Return the cosine of each picture's two vectors: (n)."""
    near: NDArray[np.float32] = np.einsum("nd,nd->n", one.truth.vectors, other.truth.vectors)
    return near


def _milliseconds(network: Network, pixels: NDArray[np.uint8]) -> float:
    network(pixels[:1])  # the first of a size is slower
    times = []
    for place in range(min(_TIMED, len(pixels))):
        began = perf_counter()
        network(pixels[place : place + 1])
        times.append(perf_counter() - began)
    return 1000 * median(times)


def print_weights(console: Console, given: MeasuredNetworks, smaller: MeasuredNetworks, name: str) -> None:
    """Print the networks with smaller weights and the originals side by side."""
    table = Table("", "as given", name, title="What smaller weights cost", title_justify="left")
    sides = given, smaller
    table.add_row("backbone and head, MB", *(f"{each.bytes / 1e6:,.1f}" for each in sides))
    for figure in _FIGURES:
        values = [each.evaluation.metrics().get(figure) for each in sides]
        table.add_row(figure, *(shown(figure, value) for value in values))
    near = cosines(given, smaller)
    table.add_row("cosine to the vector as given, mean", "", f"{near.mean():.4f}")
    table.add_row("cosine to the vector as given, worst", "", f"{near.min():.4f}")
    table.add_row("ms a picture alone, on this machine", *(f"{each.milliseconds:.1f}" for each in sides))
    console.print(table)
