"""Decodes images off the event loop, within a budget of pixels.

Contract:
- The images that are decoded at the same time have at most `max_pixels` pixels together, over all calls and models; a
  larger one is decoded alone. This bounds memory where a limit on one image does not.
- A decoding whose caller is gone does not start, or stops at the next read of its file.
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

__all__ = ["ImageDecoder", "ImageInput", "TimedImage"]


@dataclass(frozen=True)
class ImageInput:
    """An image's bytes, the part of it that counts, and the longest edge of its thumbnail in pixels; 0 is none."""

    content: bytes
    crop: CropBox | None = None
    thumbnail_edge: int = 0


@dataclass(frozen=True)
class TimedImage:
    """A decoded image, and when its decoding began and ended (`perf_counter`)."""

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
        """Return an image as a square of `size` pixels an edge.

        Raises:
            ImageError: It cannot be read, or is larger than allowed.
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
    """Pixels that threads take while they decode, and wait for."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int, abandoned: threading.Event) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: abandoned.is_set() or self._has_room(pixels))
            if abandoned.is_set():
                raise DamagedImage("The caller is gone.")  # so nobody sees it
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()

    def wake(self) -> None:
        """Let waiting threads see that their caller is gone."""
        with self._changed:
            self._changed.notify_all()

    def _has_room(self, pixels: int) -> bool:
        return not self._taken or self._taken + pixels <= self._limit
