"""Images as a bundle sees them: the measured ones, embedded as in serving, and the training images.

Contract: every given training image counts as trained on, even if a cap excludes it from computing; none is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.bundle.reading import Bundle
from model.errors import ImageError
from model.images import decode
from trainer.data_sets.reading import LabelledFile
from trainer.errors import EvaluationImpossible
from trainer.features.computing import Extractor, Undecodable
from trainer.labels.class_words import ClassWords
from trainer.labels.space import padded_labels
from trainer.measures.truth import Truth
from trainer.relevance.fitting import image_halves

_BATCH = 64
Pixels = NDArray[np.uint8]
Backbone = Callable[[Pixels], NDArray[np.float32]]
"""Pictures (n, size, size, 3) → features (n, d)."""
_TRAINING_BATCH = 256


@dataclass(frozen=True)
class EmbeddedImages:
    """Images embedded by a bundle.

    `positions`: (n), each image's place among all that were given. `for_fitting`: (n), which images curves are
    fitted on, by `image_halves`. `features`: (n, d) of a backbone, or (n, 0) if none was given. `unreadable`: the
    keys of images that could not be read; `trained_on`: how many were left out because training saw them;
    `unlabelled`: how many because they have no label.
    """

    truth: Truth
    positions: NDArray[np.int64]
    for_fitting: NDArray[np.bool_]
    features: NDArray[np.float32]
    unreadable: tuple[str, ...] = ()
    trained_on: int = 0
    unlabelled: int = 0


def embed_images(
    bundle: Bundle,
    images: Iterable[LabelledFile],
    classes: Sequence[ClassWords],
    on_image: Callable[[], None] = lambda: None,
    *,
    backbone: Backbone | None = None,
    trained_on: Collection[bytes] = frozenset(),
) -> EmbeddedImages:
    """Embed images, each with one label or several; the classes of the result are those that at least one image shows.

    `backbone`: gives features of the same pictures. `trained_on`: digests of images that training saw, which are
    left out.

    Raises:
        EvaluationImpossible: an image has a class that is not among `classes`, or none can be read.
    """
    by_name = {each.name: each for each in classes}
    manifest = bundle.manifest
    batches, names, positions, pixels, unreadable = _Batches(bundle, backbone), [], [], [], []
    seen = unlabelled = 0
    for position, image in enumerate(images):
        on_image()
        if unknown := [label for label in image.labels if label not in by_name]:
            raise EvaluationImpossible(f"The image {image.key} is of {unknown[0]!r}, which the labels do not have.")
        if not image.labels:
            unlabelled += 1
            continue
        if trained_on and image.digest in trained_on:
            seen += 1
            continue
        try:
            pixels.append(decode(image.content, size=manifest.input_size, resize=manifest.resize).pixels)
        except ImageError:
            unreadable.append(image.key)
            continue
        names.append(image.labels)
        positions.append(position)
        if len(pixels) == _BATCH:
            batches.add(np.stack(pixels))
            pixels.clear()
    if pixels:
        batches.add(np.stack(pixels))
    if not names:
        raise EvaluationImpossible(
            f"None of the images can be measured: {len(unreadable)} cannot be read, {unlabelled} have no "
            f"label, and training saw {seen}. Check the folder or tar that was given."
        )
    all_shown = {name for each in names for name in each}
    shown = [name for name in by_name if name in all_shown]
    number_of = {name: number for number, name in enumerate(shown)}
    labels = padded_labels([[number_of[name] for name in each] for each in names])
    truth = Truth(np.concatenate(batches.vectors), labels, tuple(by_name[name] for name in shown))
    features = np.concatenate(batches.features) if backbone else np.empty((len(labels), 0), np.float32)
    halves, places = np.concatenate(batches.halves), np.array(positions, dtype=np.int64)
    return EmbeddedImages(truth, places, halves, features, tuple(unreadable), seen, unlabelled)


class _Batches:
    """The results of each batch of pictures; the pictures themselves are not kept."""

    def __init__(self, bundle: Bundle, backbone: Backbone | None) -> None:
        self._bundle, self._backbone = bundle, backbone
        self.vectors: list[NDArray[np.float32]] = []
        self.features: list[NDArray[np.float32]] = []
        self.halves: list[NDArray[np.bool_]] = []

    def add(self, pixels: Pixels) -> None:
        self.vectors.append(self._bundle.network(pixels))
        self.halves.append(image_halves(pixels))
        if self._backbone:
            self.features.append(self._backbone(pixels))


@dataclass(frozen=True)
class TrainingSet:
    """Features (n, d), the class names of each, the digests of all images given, and the keys of those unreadable."""

    features: NDArray[np.float32]
    names: tuple[tuple[str, ...], ...]
    digests: frozenset[bytes]
    unreadable: tuple[str, ...] = ()


def read_training_set(
    images: Iterable[LabelledFile],
    extractor: Extractor,
    per_class: int | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> TrainingSet:
    """Run the backbone over training images, at most `per_class` of each class.

    An image with several labels counts towards the one with the fewest images.
    """
    counts: Counter[str] = Counter()
    digests: set[bytes] = set()
    names: list[tuple[str, ...]] = []
    unreadable: list[str] = []
    pixels: list[NDArray[np.uint8]] = []
    features = [np.empty((0, extractor.dimension), np.float32)]
    for image in images:
        on_image()
        digests.add(image.digest)
        if not any(per_class is None or counts[label] < per_class for label in image.labels):
            continue
        try:
            pixels.append(extractor.decode(image.content))
        except Undecodable:
            unreadable.append(image.key)
            continue
        counts.update(image.labels)
        names.append(image.labels)
        if len(pixels) == _TRAINING_BATCH:
            features.append(extractor.network(np.stack(pixels)))
            pixels.clear()
    if pixels:
        features.append(extractor.network(np.stack(pixels)))
    return TrainingSet(np.concatenate(features), tuple(names), frozenset(digests), tuple(unreadable))
