"""Decodes images in processes of their own, within a pixel budget.

Contract:
- Images that are decoded at the same time, for all calls and models, have at most `max_pixels` pixels in total; a
  larger image is decoded alone. This bounds memory, which a limit per image would not.
- An image that crashes its decoder, or takes too much time or memory, is refused, and no other image is. A decoder may
  have ended for another reason, such as the system's lack of memory, so a second one tries the image too.
- When its caller is gone, a decoding does not start, or stops soon.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import structlog
from prometheus_client import Counter

from embedder_service.decoder_limits import DecoderLimits
from embedder_service.decoder_process import DecoderEnded, DecoderProcess
from embedder_service.image_input import ImageInput
from model.errors import DamagedImage, UndecodableImage
from model.images import DecodedImage, Resize
from serving.lane_executor import LaneExecutor

_ENDED = Counter("semsearch_embedder_ended_decoders", "Decoder processes that ended or were stopped during an image.")
_TRIES = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TimedImage:
    """A decoded image, and the start and end of its decoding (`perf_counter`)."""

    image: DecodedImage
    began: float
    ended: float


class Decoder(Protocol):
    """Decodes one image at a time; see `DecoderProcess`."""

    @property
    def idle(self) -> bool:
        """Whether it can take another image."""
        ...

    def open(self, image: ImageInput, size: int, resize: Resize, is_abandoned: Callable[[], bool]) -> int:
        """Begin with an image, and return how many pixels it has."""
        ...

    def decode(self, is_abandoned: Callable[[], bool]) -> DecodedImage:
        """Return the image."""
        ...

    def stop(self) -> None:
        """End at once."""
        ...


class ImageDecoder:
    """Decodes images; `threads` has a thread for each of the decoders, and waits for them."""

    def __init__(self, threads: Executor, start: Callable[[], Decoder], count: int, max_pixels: int) -> None:
        self._threads = threads
        self._start = start
        self._idle = [start() for _ in range(count)]
        self._pixels = _PixelBudget(max_pixels)

    async def decode(self, image: ImageInput, size: int, resize: Resize) -> TimedImage:
        """Decode an image to a square of `size` × `size` pixels.

        Raises:
            ImageError: the image cannot be read, is larger than allowed, or cannot be decoded within the limits.
        """
        abandoned = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._decode, image, size, resize, abandoned
            )
        except asyncio.CancelledError:
            abandoned.set()
            self._pixels.wake()
            raise

    def close(self) -> None:
        """End the decoders, none of which may be in use."""
        while self._idle:
            self._idle.pop().stop()

    def _decode(self, image: ImageInput, size: int, resize: Resize, abandoned: threading.Event) -> TimedImage:
        began = perf_counter()
        ending = ""
        for _ in range(_TRIES):
            if abandoned.is_set():
                raise DamagedImage("The caller is gone.")  # so nobody sees this error
            try:
                with self._decoder() as decoder:
                    pixels = decoder.open(image, size, resize, abandoned.is_set)
                    with self._pixels.take(pixels, abandoned):
                        decoded = decoder.decode(abandoned.is_set)
                return TimedImage(decoded, began, perf_counter())
            except DecoderEnded as error:
                ending = str(error)
        digest = hashlib.sha256(image.content).hexdigest()
        log.warning("an image ended two decoders", ended_by=ending, sha256=digest, bytes=len(image.content))
        raise UndecodableImage(f"the decoder crashed ({ending})")

    @contextmanager
    def _decoder(self) -> Iterator[Decoder]:
        """Take a decoder, and put it or its successor back."""
        decoder = self._idle.pop()
        try:
            yield decoder
        finally:
            if not decoder.idle:
                _ENDED.inc()
                decoder.stop()
                try:
                    decoder = self._start()
                except OSError as error:  # the stopped one stays in its place, and the next image tries again
                    log.error("a decoder cannot be started", error=str(error))  # noqa: TRY400
            self._idle.append(decoder)


@asynccontextmanager
async def open_decoder(limits: DecoderLimits, count: int, max_pixels: int) -> AsyncIterator[ImageDecoder]:
    """Run `count` decoder processes while the context is open."""
    with LaneExecutor(count, "decode") as threads:
        decoder = ImageDecoder(threads, lambda: DecoderProcess(limits), count, max_pixels)
        try:
            yield decoder
        finally:
            await asyncio.to_thread(threads.shutdown)
            await asyncio.to_thread(decoder.close)


class _PixelBudget:
    """Pixels that threads reserve while they decode; a thread waits if there are too few."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int, abandoned: threading.Event) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: abandoned.is_set() or self._has_room(pixels))
            if abandoned.is_set():
                raise DamagedImage("The caller is gone.")  # so nobody sees this error
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()

    def wake(self) -> None:
        """Wake waiting threads, so that they notice that their caller is gone."""
        with self._changed:
            self._changed.notify_all()

    def _has_room(self, pixels: int) -> bool:
        return not self._taken or self._taken + pixels <= self._limit
