"""A collection, seen through a gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from semsearch import Client
from semsearch.errors import NotFound, SemsearchError
from semsearch.transport.retries import Retries
from semsearch.values import Upload

PLAIN_SECONDS = 5.0
_BATCH = 100


@dataclass(frozen=True)
class Picture:
    """An image as a file, and its vector."""

    content: bytes
    vector: NDArray[np.float32]


Matches = list[tuple[str, float]]


class Unanswered(Exception):
    """A call had no answer, so nobody knows whether it did anything."""


class Missing(Exception):
    """The answer is that there is no such image, or no such collection."""


class Gallery(Protocol):
    """A collection; every method may raise `Unanswered` or `Missing`."""

    def create(self) -> None:
        """Make the collection."""

    def add(self, pictures: Mapping[str, Picture]) -> None:
        """Add images."""

    def delete(self, image_id: str) -> None:
        """Delete an image; it may be gone already."""

    def nearest(self, query: str | Picture, count: int) -> Matches:
        """Return the images nearest to a word or to a picture, with their distances."""

    def has(self, image_id: str, picture: Picture) -> bool:
        """Return whether an image is as it was added."""

    def ids(self) -> list[str]:
        """Return the ids of all images."""


# Makes a gallery that sends each call once and waits `PLAIN_SECONDS`, or one that repeats calls as users' clients do.
Connect = Callable[[bool], Gallery]


class GatewayGallery:
    """A collection of the suite, through its client."""

    def __init__(self, address: str, collection: str, options: Mapping[str, Any], is_plain: bool) -> None:
        once = {"timeout": PLAIN_SECONDS, "retries": Retries(attempts=1)} if is_plain else {}
        self._client = Client(address, **options, **once)  # type: ignore[arg-type]
        self._collection = collection

    def create(self) -> None:
        with _errors():
            self._client.create_collection(self._collection)

    def add(self, pictures: Mapping[str, Picture]) -> None:
        uploads = [Upload(picture.content, id=image_id) for image_id, picture in pictures.items()]
        with _errors():
            for first in range(0, len(uploads), _BATCH):
                batch = uploads[first : first + _BATCH]
                for result in self._client.index_batch(batch, collection=self._collection):
                    if result.error is not None:
                        raise result.error

    def delete(self, image_id: str) -> None:
        with _errors():
            self._client.delete_images([image_id], collection=self._collection)

    def nearest(self, query: str | Picture, count: int) -> Matches:
        with _errors():
            if isinstance(query, str):
                found = self._client.search_by_text(
                    query, collection=self._collection, min_relevance=0.0, page_size=count
                )
            else:
                found = self._client.search_by_image(
                    query.content, collection=self._collection, min_relevance=0.0, page_size=count
                )
        return [(match.image.id, match.distance) for match in found]

    def has(self, image_id: str, picture: Picture) -> bool:
        with _errors():
            return self._client.download_image(image_id, collection=self._collection) == picture.content

    def ids(self) -> list[str]:
        with _errors():
            return [image.id for image in self._client.list_images(collection=self._collection)]


@contextmanager
def _errors() -> Iterator[None]:
    """Translate the errors of the client."""
    try:
        yield
    except NotFound as error:
        raise Missing(str(error)) from error
    except SemsearchError as error:
        raise Unanswered(f"{type(error).__name__} {error.reason}: {error}") from error
