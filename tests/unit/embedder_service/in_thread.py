"""A decoder for tests that decodes in the thread of its caller."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack

from embedder_service.decoding import ImageDecoder
from embedder_service.image_input import ImageInput
from model.images import DecodedImage, ImageLimits, OpenedImage, Resize, open_image


class InThread:
    """Decodes as the processes do."""

    idle = True

    def __init__(self) -> None:
        self._opened: tuple[OpenedImage, ImageInput, int, Resize] | None = None
        self._stack = ExitStack()

    def open(self, image: ImageInput, size: int, resize: Resize, is_abandoned: Callable[[], bool]) -> int:
        opened = self._stack.enter_context(open_image(image.content, ImageLimits()))
        self._opened = opened, image, size, resize
        return opened.pixels

    def decode(self, is_abandoned: Callable[[], bool]) -> DecodedImage:
        assert self._opened is not None
        opened, image, size, resize = self._opened
        with self._stack.pop_all():
            return opened.decode(size=size, resize=resize, crop=image.crop, thumbnail_edge=image.thumbnail_edge)

    def stop(self) -> None:
        self._stack.close()


def in_threads(threads: Executor, count: int, max_pixels: int = 10**8) -> ImageDecoder:
    return ImageDecoder(threads, InThread, count, max_pixels)
