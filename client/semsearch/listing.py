"""The results of list methods: items, from pages that are fetched as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Generic, TypeVar

from typing_extensions import override

T = TypeVar("T")


class Listing(Iterator[T]):
    """Iterates over all items of a list; nothing is fetched before the first one is needed.

    `pages()` yields tuples instead, one for each page that the server sends. Use either, once.
    """

    def __init__(self, pages: Iterator[tuple[T, ...]]) -> None:
        self._pages = pages
        self._items = chain.from_iterable(pages)

    @override
    def __next__(self) -> T:
        return next(self._items)

    def pages(self) -> Iterator[tuple[T, ...]]:
        """Yield the items page by page."""
        return self._pages


class AsyncListing(AsyncIterator[T], Generic[T]):
    """Iterates over all items of a list with `async for`; the twin of `Listing`."""

    def __init__(self, pages: AsyncIterator[tuple[T, ...]]) -> None:
        self._pages = pages
        self._items = _items(pages)

    @override
    async def __anext__(self) -> T:
        return await anext(self._items)

    def pages(self) -> AsyncIterator[tuple[T, ...]]:
        """Yield the items page by page."""
        return self._pages


async def _items(pages: AsyncIterator[tuple[T, ...]]) -> AsyncIterator[T]:
    async for page in pages:
        for item in page:
            yield item
