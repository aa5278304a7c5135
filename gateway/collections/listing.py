"""List a collection page by page, even while it is switched to another index.

An index's own token is a position in that index and means nothing in another. So a token also names the index and the
last item shown: if the collection has a new index, that item is searched for there, and the list continues after it.
A switch keeps the order of images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from semsearch.v1.query_pb2 import Filter

from gateway.backends.vector_index import Item, VectorIndex
from gateway.errors import ListingOutOfDate

_SEARCH_PAGE = 1_000


class Listing:
    """The items of one index, first added first, or in descending order of a text attribute."""

    def __init__(self, index: VectorIndex, name: str, filter_: Filter | None, descending_by: str = "") -> None:
        self._index = index
        self._name = name
        self._filter = filter_
        self._descending_by = descending_by

    async def page(self, size: int, token: str) -> tuple[Sequence[Item], str]:
        """Return a page and the token of the next one, or "".

        Raises:
            ListingOutOfDate: The token is for another index, and this one lacks the last item shown.
        """
        cursor = ""
        if token:
            cursor = await self._cursor(token)
            if not cursor:
                return (), ""
        items, cursor = await self._list(size, cursor)
        return items, json.dumps([self._name, items[-1].id, cursor]) if cursor else ""

    async def _cursor(self, token: str) -> str:
        """Return the index's own token for the place after a token's item; "" if that is the last."""
        try:
            name, last, cursor = json.loads(token)
        except ValueError as error:
            raise ListingOutOfDate from error
        return str(cursor) if name == self._name else await self._after(str(last))

    async def _after(self, item_id: str) -> str:
        start = ""
        while True:
            items, following = await self._list(_SEARCH_PAGE, start)
            place = next((number for number, item in enumerate(items, 1) if item.id == item_id), 0)
            if place:
                return (await self._list(place, start))[1]
            if not following:
                raise ListingOutOfDate
            start = following

    async def _list(self, size: int, cursor: str) -> tuple[Sequence[Item], str]:
        return await self._index.list_items(
            self._name, page_size=size, page_token=cursor, filter_=self._filter, descending_by=self._descending_by
        )
