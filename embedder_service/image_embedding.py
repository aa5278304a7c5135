"""Embeds images: admits them, decodes them off the event loop, and passes square pixel arrays to the batcher.

Contract: at most `max_images` images are between arrival and vector. A call that would exceed this, or whose images
could not be embedded before its deadline, is rejected as a whole, before any of its images is decoded. An invalid image
gets an error, and does not affect the others.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Gauge, Histogram

from embedder_service.batching import Batcher
from embedder_service.decoding import ImageDecoder
from embedder_service.errors import Overloaded
from embedder_service.image_input import ImageInput
from embedder_service.pace import Pace
from model.errors import ImageError
from model.images import PhotoMetadata, Resize
from serving import deadlines, lanes, tracing
from serving.lanes import Lane
from serving.metrics import BUCKETS, exemplar

_QUEUED = Gauge("semsearch_embedder_queued_images", "Images between arrival and vector.")
_IMAGES = Counter("semsearch_embedder_images", "Images that were answered.", ["outcome"])
_DECODE_SECONDS = Histogram(
    "semsearch_embedder_decode_seconds", "Seconds that decoding and resizing an image took.", buckets=BUCKETS
)
_QUEUE_SECONDS = Histogram(
    "semsearch_embedder_queue_seconds",
    "Seconds that an image waited for a decoding thread and for the model.",
    buckets=BUCKETS,
)


@dataclass(frozen=True)
class Preprocessing:
    """The edge length in pixels of a model's input, and how images are resized to it."""

    size: int
    resize: Resize


@dataclass(frozen=True)
class Timings:
    """Seconds spent decoding and resizing, waiting for a decoder and for the model, and in the model."""

    decode: float = 0.0
    queue: float = 0.0
    model: float = 0.0


@dataclass(frozen=True)
class ImageVector:
    """A vector, float32 (dimension) of unit length, and facts about its image."""

    vector: NDArray[np.float32]
    width: int
    height: int
    media_type: str
    thumbnail: bytes
    metadata: PhotoMetadata
    perceptual_hash: bytes
    timings: Timings


class ImageEmbedder:
    """Embeds images with one model."""

    def __init__(self, batcher: Batcher, preprocessing: Preprocessing, decoder: ImageDecoder, max_images: int) -> None:
        self._batcher = batcher
        self._preprocessing = preprocessing
        self._decoder = decoder
        self._max_images = max_images
        self._admitted = dict.fromkeys(Lane, 0)
        self._pace = Pace()

    async def embed(self, images: Sequence[ImageInput]) -> list[ImageVector | ImageError]:
        """Return a vector or an error for each image.

        Raises:
            Overloaded: too many images wait to admit these.
        """
        with self._admit(len(images)):
            return await asyncio.gather(*(self._embed(image) for image in images))

    @contextmanager
    def _admit(self, count: int) -> Iterator[None]:
        lane = lanes.current()
        admitted = sum(self._admitted.values())
        ahead = admitted if lane is Lane.BULK else self._admitted[lane]
        late = self._pace.needed_seconds(ahead + count) > deadlines.cap(math.inf)
        if admitted + count > self._max_images or (admitted and late):
            _IMAGES.labels("overloaded").inc(count)
            raise Overloaded(admitted)
        if not admitted:
            self._pace.resume(perf_counter())
        self._admitted[lane] += count
        _QUEUED.inc(count)
        try:
            yield
        finally:
            self._admitted[lane] -= count
            _QUEUED.dec(count)

    async def _embed(self, image: ImageInput) -> ImageVector | ImageError:
        arrived = perf_counter()
        try:
            decoding = await self._decoder.decode(image, self._preprocessing.size, self._preprocessing.resize)
        except ImageError as error:
            _IMAGES.labels("refused").inc()
            return error
        decoded, began = decoding.image, decoding.began
        tracing.record("decode image", began, decoding.ended)
        batched = await self._batcher.embed(decoded.pixels)
        tracing.record("wait for model", batched.arrived, batched.began)
        tracing.record("run model", batched.began, batched.ended, batch_images=batched.images)
        timings = Timings(
            decode=decoding.ended - began,
            queue=began - arrived + batched.began - batched.arrived,
            model=batched.ended - batched.began,
        )
        _DECODE_SECONDS.observe(timings.decode, exemplar())
        _QUEUE_SECONDS.observe(timings.queue, exemplar())
        _IMAGES.labels("embedded").inc()
        self._pace.record(perf_counter())
        return ImageVector(
            batched.vector,
            decoded.width,
            decoded.height,
            decoded.media_type,
            decoded.thumbnail,
            decoded.metadata,
            decoded.perceptual_hash,
            timings,
        )
