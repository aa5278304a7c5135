"""Pages of an index's items."""

from __future__ import annotations

import re
from concurrent.futures import Executor
from contextlib import aclosing, closing

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.call_threads import steps
from index_service.api.translate import items, listings
from index_service.api.translate.filters import to_filter
from index_service.contract import Index
from index_service.filters import Filter
from serving.errors import InvalidPageToken
from serving.page_tokens import page_size

DEFAULT_PAGE = 100
MAX_PAGE = 1_000
_SEQUENCE = re.compile(r"[0-9]{1,18}")


def list_items(index: Index, request: pb.ListItemsRequest) -> pb.ListItemsResponse:
    """Return a page of the items in the order of their first addition; raises `InvalidPageToken`."""
    size = page_size(request.page_size, DEFAULT_PAGE, MAX_PAGE)
    condition = to_filter(request.filter) or Filter()
    found = index.page(_sequence(request.page_token), size + 1, condition, vectors=request.include_vectors)
    with closing(found):
        page, last = items.to_page(found, size)
    return pb.ListItemsResponse(items=page, next_page_token="" if last is None else str(last))


async def list_descending(index: Index, request: pb.ListItemsRequest, threads: Executor) -> pb.ListItemsResponse:
    """Return a page in descending order of an attribute; stop when the caller leaves."""
    if request.HasField("within"):
        index.check_model(request.within.model_id)
    size = page_size(request.page_size, DEFAULT_PAGE, MAX_PAGE)
    listing = listings.to_listing(request, size, index.definition.dimension)
    page = listings.DescendingPage(size)
    async with aclosing(steps(threads, index.descending(listing, vectors=request.include_vectors))) as blocks:
        async for block in blocks:
            if page.add(block, vectors=request.include_vectors):
                break
    return page.message()


def _sequence(page_token: str) -> int:
    """Return the sequence number that a page starts after, which its token holds."""
    if page_token and not _SEQUENCE.fullmatch(page_token):
        raise InvalidPageToken
    return int(page_token or 0)
