"""Thumbnails of matches, fetched a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from semsearch.client import Client
from semsearch.errors import NotFound, ServerFailed
from semsearch.values import Image

_AT_ONCE = 4


def thumbnails(client: Client, images: Sequence[Image]) -> Iterator[bytes | None]:
    """Yield the thumbnails (WebP) of images in their order; None for one that is gone or damaged."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        yield from threads.map(lambda image: _thumbnail(client, image), images)


def _thumbnail(client: Client, image: Image) -> bytes | None:
    try:
        return client.download_image(image.id, collection=image.collection, thumbnail=True)
    except (NotFound, ServerFailed):
        return None
