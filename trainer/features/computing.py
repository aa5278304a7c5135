"""Run a backbone over labelled images once, into a feature cache.

Contract: the model's own code decodes and resizes pictures, so that training sees them as serving does. An image that
is already in the cache is neither decoded nor computed again. An image that cannot be decoded is reported and left out,
since one bad file must not cost an hour's work. Features are written to disk after every batch.

All cores are kept busy: threads decode the next batches while one thread runs the network on the current one and the
caller's thread reads files and writes features. Order and results are as in a single thread, and memory is bounded: at
most `_AHEAD` batches are decoded and not yet computed.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.errors import TrainingSetUnusable
from trainer.features.cache import FeatureCache
from trainer.features.feature_set import FeatureSet
from trainer.labels.space import padded_labels

Pixels = NDArray[np.uint8]
T = TypeVar("T")
BATCH = 64
_AHEAD = 2
_CUT = 0.8  # edge of a cut-out, as a share of the picture's


def _corner(pixels: Pixels, *, lower: bool, right: bool) -> Pixels:
    """Cut out a corner, and enlarge it to the picture's size."""
    size = len(pixels)
    edge = round(size * _CUT)
    top, left = (size - edge) * lower, (size - edge) * right
    cut = Image.fromarray(pixels[top : top + edge, left : left + edge])
    return np.asarray(cut.resize((size, size), Image.Resampling.BICUBIC))


VIEWS: Mapping[str, Callable[[Pixels], Pixels]] = {
    "plain": lambda pixels: pixels,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "upper left": lambda pixels: _corner(pixels, lower=False, right=False),
    "lower right, mirrored": lambda pixels: _corner(pixels, lower=True, right=True)[:, ::-1],
}
"""Variants of a square picture (size, size, 3). The first is how the embedder sees it."""


ALL_VIEWS = tuple(VIEWS)


def views_of(*, mirror: bool) -> tuple[str, ...]:
    """Return the names of the views to compute for a data set, for a cache's spec."""
    return ALL_VIEWS[:2] if mirror else ALL_VIEWS[:1]


class LabelledImage(Protocol):
    """An image file, with its location and the names of its classes."""

    @property
    def key(self) -> str:
        """Where it was found."""

    @property
    def content(self) -> bytes:
        """The file's bytes."""

    @property
    def labels(self) -> Sequence[str]:
        """The names of its classes: one or several."""


class Undecodable(Exception):
    """Raised by an extractor's `decode` for bytes that are not a picture."""


@dataclass(frozen=True)
class Extractor:
    """A backbone ready to run.

    `name` identifies network and preprocessing; `decode` gives (size, size, 3) RGB or raises Undecodable;
    `network` maps (n, size, size, 3) uint8 to (n, dimension) float32.
    """

    name: str
    dimension: int
    decode: Callable[[bytes], Pixels]
    network: Callable[[Pixels], NDArray[np.float32]]
    input_size: int


def compute_features(
    images: Iterable[LabelledImage],
    names: Sequence[str],
    extractor: Extractor,
    cache: FeatureCache,
    batch_size: int = BATCH,
    on_undecodable: Callable[[LabelledImage, Undecodable], None] = lambda image, error: None,
    validation: Collection[bytes] | None = None,
) -> FeatureSet:
    """Fill the cache with the images' features and return them, in the images' order.

    `validation`: the digests of the images that are not for training; None leaves the sides undefined.

    Raises:
        TrainingSetUnusable: no image could be decoded, or one has a class that is not among `names`.
        NotWritten: the disk is full; what was computed before is kept.
    """
    seen = computed_here(images, extractor, cache, batch_size)
    return collect_features(seen, names, cache, on_undecodable, validation)


def collect_features(
    images: Iterable[Seen],
    names: Sequence[str],
    cache: FeatureCache,
    on_undecodable: Callable[[LabelledImage, Undecodable], None] = lambda image, error: None,
    validation: Collection[bytes] | None = None,
) -> FeatureSet:
    """Return the features of images that a computation yields, in its order. Raises as above."""
    number_of = {name: number for number, name in enumerate(names)}
    keys: list[bytes] = []
    labels: list[list[int]] = []
    for seen in images:
        if seen.undecodable:
            on_undecodable(seen.image, seen.undecodable)
            continue
        unknown = [label for label in seen.image.labels if label not in number_of]
        if unknown:
            raise TrainingSetUnusable(f"An image has the class {unknown[0]!r}, which is not among the labels.")
        keys.append(seen.digest)
        labels.append([number_of[label] for label in seen.image.labels])
    if not keys:
        raise TrainingSetUnusable("There is no readable image in the data set, so there is nothing to train on.")
    validates = None if validation is None else np.array([key in validation for key in keys], dtype=np.bool_)
    return FeatureSet(cache.memory_map(), cache.rows_of(keys), padded_labels(labels), tuple(names), validates)


@dataclass(frozen=True)
class Seen:
    """An image and its digest; its pixels if it is not in the cache, or why it cannot be decoded."""

    image: LabelledImage
    digest: bytes
    pixels: Pixels | None = None
    undecodable: Undecodable | None = None


@dataclass(frozen=True)
class _Batch:
    """Images in order, and the features (n, views, dimension) of the new ones, with their digests."""

    images: Sequence[Seen]
    keys: Sequence[bytes]
    features: NDArray[np.float32]


def computed_here(
    images: Iterable[LabelledImage], extractor: Extractor, cache: FeatureCache, batch_size: int = BATCH
) -> Iterator[Seen]:
    """Yield every image once its features are in the cache, or once it proves undecodable."""
    compute = _Network(extractor, cache)
    waiting: deque[Future[_Batch]] = deque()
    with (
        ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode") as decoders,
        ThreadPoolExecutor(1, thread_name_prefix="network") as network,
    ):
        try:
            for chunk in in_batches(images, batch_size):
                looked_at = [decoders.submit(_look, image, extractor, cache) for image in chunk]
                waiting.append(network.submit(compute, looked_at))
                if len(waiting) > _AHEAD:
                    yield from _kept(waiting.popleft().result(), cache)
            while waiting:
                yield from _kept(waiting.popleft().result(), cache)
        finally:
            network.shutdown(wait=False, cancel_futures=True)
            decoders.shutdown(wait=False, cancel_futures=True)


def _look(image: LabelledImage, extractor: Extractor, cache: FeatureCache) -> Seen:
    digest = hashlib.sha256(image.content).digest()
    if digest in cache:
        return Seen(image, digest)
    try:
        return Seen(image, digest, extractor.decode(image.content))
    except Undecodable as error:
        return Seen(image, digest, undecodable=error)


class _Network:
    """Computes batches in turn; an image that occurs twice, in any of them, is computed once."""

    def __init__(self, extractor: Extractor, cache: FeatureCache) -> None:
        self._extractor = extractor
        self._views = cache.spec.views
        self._shape = cache.spec.row_shape
        self._computed: set[bytes] = set()

    def __call__(self, looked_at: Sequence[Future[Seen]]) -> _Batch:
        images = [each.result() for each in looked_at]
        new = {
            each.digest: each.pixels for each in images if each.pixels is not None and each.digest not in self._computed
        }
        self._computed.update(new)
        bare = [Seen(each.image, each.digest, undecodable=each.undecodable) for each in images]
        if not new:
            return _Batch(bare, (), np.empty((0, *self._shape), np.float32))
        return _Batch(bare, tuple(new), features_of(list(new.values()), self._extractor, self._views))


def features_of(pictures: Sequence[Pixels], extractor: Extractor, views: Sequence[str]) -> NDArray[np.float32]:
    """Run the network once over every view of some pictures: (pictures, views, dimension)."""
    seen = np.stack([VIEWS[view](picture) for picture in pictures for view in views])
    return extractor.network(seen).reshape(len(pictures), len(views), -1)


def _kept(batch: _Batch, cache: FeatureCache) -> Sequence[Seen]:
    """Write the features of a batch, and return its images."""
    if batch.keys:
        cache.append(batch.keys, batch.features)
    return batch.images


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
