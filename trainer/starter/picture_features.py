"""Features of the starter's pictures, which are arrays in memory already, at the size that a network is given.

Contract: pictures are made larger as the embedder makes them; what is computed is kept in a feature cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.computing import Extractor, FeatureSet, compute_features
from trainer.starter.pixels import EDGE, Pictures

__all__ = ["enlarged", "picture_features"]

_BATCH = 256


def enlarged(pixels: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """A square picture at another size."""
    return np.asarray(Image.fromarray(pixels).resize((edge, edge), Image.Resampling.BICUBIC))


def picture_features(
    pictures: Pictures,
    names: tuple[str, ...],
    extractor: Extractor,
    edge: int,
    folder: Path,
    show: Callable[[int, int], None],
) -> FeatureSet:
    """The features that an extractor's network gives of the pictures; its way to decode is not used.

    ``show`` hears how many pictures are seen, and of how many.
    """

    def pixels(content: bytes) -> NDArray[np.uint8]:
        return enlarged(np.frombuffer(content, np.uint8).reshape(EDGE, EDGE, 3), edge)

    of_pictures = replace(extractor, decode=pixels)
    spec = CacheSpec(extractor.name, ("plain",), extractor.dimension)
    with FeatureCache(folder, spec) as cache:
        return compute_features(_counted(pictures, names, show), names, of_pictures, cache, batch_size=_BATCH)


@dataclass(frozen=True)
class _Picture:
    """A decoded picture as the feature cache wants it: its pixels as bytes, and its class."""

    key: str
    content: bytes
    labels: tuple[str]


def _counted(pictures: Pictures, names: tuple[str, ...], show: Callable[[int, int], None]) -> Iterator[_Picture]:
    for place, (pixels, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True), start=1):
        yield _Picture(str(place), pixels.tobytes(), (names[label],))
        show(place, len(pictures.labels))
