"""Decodes images off the event loop, within a pixel budget.

Contract:
- Images that are decoded at the same time, for all calls and models, have at most `max_pixels` pixels in total; a
  larger image is decoded alone. This bounds memory, which a limit per image would not.
- When its caller is gone, a decoding does not start, or stops at the next read of its file.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from model.errors import DamagedImage
from model.images import CropBox, DecodedImage, ImageLimits, Resize, open_image


@dataclass(frozen=True)
class ImageInput:
    """An image's bytes, the crop to embed, and the longest edge of its thumbnail in pixels; 0 means no thumbnail."""

    content: bytes
    crop: CropBox | None = None
    thumbnail_edge: int = 0


@dataclass(frozen=True)
class TimedImage:
    """A decoded image, and the start and end of its decoding (`perf_counter`)."""

    image: DecodedImage
    began: float
    ended: float


class ImageDecoder:
    """Decodes images on threads."""

    def __init__(self, threads: Executor, limits: ImageLimits, max_pixels: int) -> None:
        self._threads = threads
        self._limits = limits
        self._pixels = _PixelBudget(max_pixels)

    async def decode(self, image: ImageInput, size: int, resize: Resize) -> TimedImage:
        """Decode an image to a square of `size` × `size` pixels.

        Raises:
            ImageError: the image cannot be read, or is larger than allowed.
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

    def _decode(self, image: ImageInput, size: int, resize: Resize, abandoned: threading.Event) -> TimedImage:
        began = perf_counter()
        with (
            open_image(image.content, self._limits, abandoned.is_set) as opened,
            self._pixels.take(opened.pixels, abandoned),
        ):
            decoded = opened.decode(size=size, resize=resize, crop=image.crop, thumbnail_edge=image.thumbnail_edge)
        return TimedImage(decoded, began, perf_counter())


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
