"""Lists in descending order, and counts: requests in, items and numbers out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.translate.filters import to_filter, to_path
from index_service.api.translate.items import from_item, to_id, to_vectors
from index_service.filters import Filter
from index_service.results import Listed, Listing, Neighborhood, Place
from index_service.vectors import MAX_DISTANCE, Vectors
from serving.errors import InvalidField, InvalidPageToken
from serving.page_tokens import PageRoom

MAX_BOUNDS = 1_000
MAX_EXCLUDED = 1_000
_MAX_ROW = 2**63 - 1  # SQLite's


def to_listing(message: pb.ListItemsRequest, size: int, dimension: int) -> Listing:
    """Return what to list: one item more than the page has, to know whether others follow.

    Raises:
        InvalidField, InvalidFilter, InvalidPageToken, DimensionMismatch, InvalidVector: the request breaks the rules.
    """
    within = None
    if message.HasField("within"):
        (vector,) = to_vectors([message.within.vector], dimension, ["within.vector"])
        within = Neighborhood(vector, _distance(message.within.distance, "within.distance"))
    return Listing(
        to_path(message.descending_by, "descending_by"),
        size + 1,
        _place(message.page_token),
        to_filter(message.filter) or Filter(),
        within,
    )


class DescendingPage:
    """A page that is filled block by block, up to `size` items and about 3 MiB."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._room = PageRoom()
        self._last = Place(None, 0)
        self._message = pb.ListItemsResponse()

    def add(self, block: Sequence[Listed], *, vectors: bool) -> bool:
        """Add the next items; return whether the page is full, and others follow."""
        for each in block:
            message = from_item(each.item)
            if not vectors:
                message.vector = b""
            if len(self._message.items) == self._size or not self._room.fits(message):
                self._message.next_page_token = json.dumps(self._last)
                return True
            self._message.items.append(message)
            if each.distance is not None:
                self._message.distances.append(each.distance)
            self._last = each.place
        return False

    def message(self) -> pb.ListItemsResponse:
        """Return the page."""
        return self._message


@dataclass(frozen=True)
class Counting:
    """A checked count; see `Index.count`."""

    condition: Filter | None
    near: Vectors | None
    bounds: tuple[float, ...]
    left_out: tuple[str, ...]


def to_counting(message: pb.CountItemsRequest, dimension: int) -> Counting:
    """Return what to count.

    Raises:
        InvalidField, InvalidFilter, InvalidId, DimensionMismatch, InvalidVector: the request breaks the rules.
    """
    if len(message.distances) > MAX_BOUNDS:
        raise InvalidField("distances", f"must be at most {MAX_BOUNDS:,}; there were {len(message.distances):,}.")
    if len(message.excluded_ids) > MAX_EXCLUDED:
        raise InvalidField(
            "excluded_ids", f"must be at most {MAX_EXCLUDED:,}; there were {len(message.excluded_ids):,}."
        )
    bounds = tuple(_distance(each, f"distances[{number}]") for number, each in enumerate(message.distances))
    if any(first > second for first, second in pairwise(bounds)):
        raise InvalidField("distances", "must be in ascending order.")
    near = to_vectors([message.vector], dimension, ["vector"])[0] if message.vector else None
    left_out = tuple(to_id(each, f"excluded_ids[{number}]") for number, each in enumerate(message.excluded_ids))
    return Counting(to_filter(message.filter), near, bounds, left_out)


def _distance(distance: float, field: str) -> float:
    if math.isnan(distance) or not 0 <= distance <= MAX_DISTANCE:
        raise InvalidField(field, f"must be 0 to {MAX_DISTANCE:g}; it was {distance:g}.")
    return distance


def _place(page_token: str) -> Place | None:
    """Return the place that a page starts after, which its token holds."""
    if not page_token:
        return None
    try:
        match json.loads(page_token):
            case [str() | None as value, int() as row] if 0 <= row <= _MAX_ROW:
                return Place(value, row)
    except (ValueError, RecursionError) as error:
        raise InvalidPageToken from error
    raise InvalidPageToken
