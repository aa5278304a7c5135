"""A search with the words and images of a command line, page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from semsearch.cli.ids import AmbiguousId, whole_id
from semsearch.cli.nothing_found import Filters
from semsearch.cli.options import where_of
from semsearch.cli.query_line import Picture, QueryError, QueryLine
from semsearch.client import Client
from semsearch.errors import InvalidRequest
from semsearch.values import ImageMatches, ImageTerm, WordMatches

# The server's limit for a page.
_PAGE = 1_000

Found = TypeVar("Found", ImageMatches, WordMatches)


class ImageSearch:
    """A search for images; the constructor reads files and resolves ids.

    Raises:
        QueryError: a weight is not a number, a file cannot be read, or an id is ambiguous.
    """

    def __init__(
        self, client: Client, line: QueryLine, collection: str, equal: Filters, taken: str = "", distinct: bool = False
    ) -> None:
        self.equal = equal
        self._where = where_of(equal, taken)
        self._distinct = distinct
        self._client = client
        self._collection = collection
        self._text = line.text
        self._terms = [term for _, term in line.terms()] if line.pictures else []
        self._images = [self._image(picture) for picture in line.pictures]

    def page(self, size: int, token: str, min_relevance: float | None) -> ImageMatches:
        """Return a page of matches."""
        if not self._images:
            return self._client.search_by_text(
                self._text,
                collection=self._collection,
                page_size=size,
                page_token=token,
                min_relevance=min_relevance,
                where=self._where,
                distinct=self._distinct,
            )
        return self._client.search_by_image(
            self._images,
            words=self._terms,
            collection=self._collection,
            page_size=size,
            page_token=token,
            min_relevance=min_relevance,
            where=self._where,
            distinct=self._distinct,
        )

    def _image(self, picture: Picture) -> ImageTerm:
        try:
            if picture.path is not None:
                return ImageTerm(read(picture.path), picture.weight)
            return ImageTerm(whole_id(self._client, self._collection, picture.image_id), picture.weight)
        except (AmbiguousId, UnreadableFile) as error:
            if picture.place is None:
                raise
            raise QueryError(error.message, picture.place) from error


class UnreadableFile(InvalidRequest):
    """A file that a command was given cannot be read."""


def read(file: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{file} cannot be read: {error.strerror}.") from error


def up_to(count: int, token: str, page: Callable[[int, str], Found]) -> Found:
    """Return the first `count` results, from as many pages as needed."""
    found = page(min(count, _PAGE), token)
    items = "matches" if isinstance(found, ImageMatches) else "words"
    while found.next_page_token and (missing := count - len(getattr(found, items))) > 0:
        following = page(min(missing, _PAGE), found.next_page_token)
        joined = getattr(found, items) + getattr(following, items)
        found = replace(found, **{items: joined, "next_page_token": following.next_page_token})
    return found
