"""Runs a backbone over labelled images once, into a feature cache.

Contract: a picture is decoded and resized by the embedder's own code, so that what is trained is what serves; an
image already in the cache is neither decoded nor computed again. An image that cannot be decoded is reported and left
out, since one bad file must not cost an hour's work. What is computed is on disk after every batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainingSetUnusable
from trainer.feature_cache import FeatureCache

__all__ = ["VIEWS", "Extractor", "FeatureSet", "LabelledImage", "Undecodable", "compute_features"]

Pixels = NDArray[np.uint8]
T = TypeVar("T")

VIEWS: Mapping[str, Callable[[Pixels], Pixels]] = {
    "plain": lambda pixels: pixels,
    "mirrored": lambda pixels: pixels[:, ::-1],
}
"""Ways to look at a square picture (size, size, 3). The first is how the embedder sees it."""


class LabelledImage(Protocol):
    """An image file and the name of its class."""

    @property
    def content(self) -> bytes:
        """The file's bytes."""

    @property
    def label(self) -> str:
        """The name of its class."""


class Undecodable(Exception):
    """Raised by an extractor's ``decode`` for bytes that are no picture."""


@dataclass(frozen=True)
class Extractor:
    """A backbone ready to run.

    ``name`` identifies network and preprocessing; ``decode`` gives (size, size, 3) RGB or raises Undecodable;
    ``network`` maps (n, size, size, 3) uint8 to (n, dimension) float32.
    """

    name: str
    dimension: int
    decode: Callable[[bytes], Pixels]
    network: Callable[[Pixels], NDArray[np.float32]]


@dataclass(frozen=True)
class FeatureSet:
    """Labelled images as features: rows of a cache, nothing copied until asked for.

    ``cache``: (rows, views, dimension), possibly memory-mapped. ``rows`` and ``labels``: (images,) int64; a label is
    a position in ``names``.
    """

    cache: NDArray[np.floating[Any]]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def views(self) -> int:
        """Views of each image."""
        return int(self.cache.shape[1])

    @property
    def dimension(self) -> int:
        """Numbers in a feature vector."""
        return int(self.cache.shape[2])

    def take(self, images: NDArray[np.int64], views: NDArray[np.int64] | int = 0) -> NDArray[np.float32]:
        """The features of some images, each in one view: (n, dimension) float32."""
        return np.asarray(self.cache[self.rows[images], views], dtype=np.float32)


def compute_features(
    images: Iterable[LabelledImage],
    names: Sequence[str],
    extractor: Extractor,
    cache: FeatureCache,
    batch_size: int = 64,
    on_undecodable: Callable[[LabelledImage, Undecodable], None] = lambda image, error: None,
) -> FeatureSet:
    """Fill the cache with the images' features and return them, in the images' order.

    Raises:
        TrainingSetUnusable: no image could be decoded, or one has a class that is not among ``names``.
    """
    number_of = {name: number for number, name in enumerate(names)}
    keys: list[bytes] = []
    labels: list[int] = []
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="decode") as decoders:
        for batch in _chunks(images, batch_size):
            digests = [hashlib.sha256(image.content).digest() for image in batch]
            new = {key: image for key, image in zip(digests, batch, strict=True) if key not in cache}
            refused = _fill(cache, extractor, new, decoders)
            for key, image in zip(digests, batch, strict=True):
                if key in refused:
                    on_undecodable(image, refused[key])
                    continue
                if image.label not in number_of:
                    raise TrainingSetUnusable(f"An image has the class {image.label!r}, which is not among the labels.")
                keys.append(key)
                labels.append(number_of[image.label])
    if not keys:
        raise TrainingSetUnusable("There is no readable image in the data set, so there is nothing to learn from.")
    rows = cache.rows_of(keys)
    return FeatureSet(cache.memory_map(), rows, np.array(labels, dtype=np.int64), tuple(names))


def _fill(
    cache: FeatureCache, extractor: Extractor, new: Mapping[bytes, LabelledImage], decoders: ThreadPoolExecutor
) -> dict[bytes, Undecodable]:
    """Compute the features of new images; the ones that could not be decoded, with why."""

    def decode(image: LabelledImage) -> Pixels | Undecodable:
        try:
            return extractor.decode(image.content)
        except Undecodable as error:
            return error

    decoded = dict(zip(new, decoders.map(decode, new.values()), strict=True))
    pixels = {key: picture for key, picture in decoded.items() if not isinstance(picture, Undecodable)}
    if pixels:
        views = [VIEWS[view] for view in cache.spec.views]
        seen = np.stack([view(picture) for picture in pixels.values() for view in views])
        cache.append(list(pixels), extractor.network(seen).reshape(len(pixels), len(views), -1))
    return {key: error for key, error in decoded.items() if isinstance(error, Undecodable)}


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
