"""Training images as a bundle's backbone sees them: what baselines are fitted on, and what is never measured on.

Contract: every image given counts as trained on, also where a cap keeps it from being computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data_sets.reading import LabelledFile
from trainer.features.computing import Extractor, Undecodable

__all__ = ["TrainingSet", "read_training_set"]

_BATCH = 256


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
    """Run the backbone over training images, at most ``per_class`` of each class; what cannot be read is told.

    Of an image with several labels the class that has the fewest images decides.
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
        if len(pixels) == _BATCH:
            features.append(extractor.network(np.stack(pixels)))
            pixels.clear()
    if pixels:
        features.append(extractor.network(np.stack(pixels)))
    return TrainingSet(np.concatenate(features), tuple(names), frozenset(digests), tuple(unreadable))
