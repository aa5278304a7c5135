"""Leave out neighbours that show the same picture as a nearer one, consistently across the pages of a search.

Whether a neighbour is left out depends only on the earlier ones, never on page boundaries: it is compared with the
`LOOK_BACK` neighbours before it, shown or not. Copies have nearly the same distance to any query, so they are close
together. A cursor holds the position where a page begins and the position where its look-back begins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from gateway.backends.attributes import from_text
from gateway.backends.embedding import Vector
from gateway.backends.vector_index import Found, Neighbor, Position
from gateway.collections.same_picture import Hashes, hashes_of, same_as
from gateway.search.cursors import Cursor

LOOK_BACK = 2_000
MOST_READ = 5_000  # for one page
_HASH = ("image.perceptual_hash",)

# Returns the k nearest neighbours after a position, with vectors and with the attributes at paths; None means all.
Nearest = Callable[[int, Position | None, Sequence[str] | None], Awaitable[Found]]


async def distinct_page(
    nearest: Nearest, size: int, vector: Vector, after: Cursor | None, wanted: Callable[[Neighbor], bool | None]
) -> tuple[Sequence[Neighbor], Cursor | None]:
    """Return the next `size` neighbours that repeat no nearer one, and the cursor of the next page.

    The page is shorter if `MOST_READ` neighbours did not fill it. `wanted` returns None for a neighbour to ignore, and
    False for the first one that is too far, where the search ends.
    """
    seen = _Seen(await _earlier(nearest, after, wanted) if after else [])
    place, k, read, ended = after.place if after else None, size + 1, 0, False
    shown: list[Neighbor] = []
    while len(shown) <= size and read < MOST_READ and not ended:
        found = await nearest(min(k, MOST_READ), place, None)
        for each in found.neighbors:
            verdict = wanted(each)
            ended = verdict is False
            if ended:
                break
            place = each.place
            if verdict and seen.is_new(each):
                shown.append(each)
        ended = ended or (len(found.neighbors) < min(k, MOST_READ) and not found.cut)
        read, k = read + len(found.neighbors), 2 * k
    if len(shown) > size:
        shown, place, ended = shown[:size], shown[size - 1].place, False
    if ended or place is None:
        return shown, None
    return shown, Cursor(vector, place, seen.since(place) or (after.since if after else None))


async def _earlier(nearest: Nearest, cursor: Cursor, wanted: Callable[[Neighbor], bool | None]) -> list[Neighbor]:
    """Return the neighbours from the start of the look-back to the cursor's position."""
    earlier: list[Neighbor] = []
    place = cursor.since
    while True:
        k = max(cursor.place.rank - (place.rank if place else 0), 0) + 1
        found = await nearest(min(k, MOST_READ), place, _HASH)
        before = [each for each in found.neighbors if _order(each.place) <= _order(cursor.place)]
        earlier += filter(wanted, before)
        if not before or len(before) < len(found.neighbors):
            return earlier
        place = before[-1].place


class _Seen:
    """Earlier neighbours in order, with the hashes and vectors to compare with later ones."""

    def __init__(self, neighbors: Sequence[Neighbor]) -> None:
        self._places = [each.place for each in neighbors]
        self._vectors = [_vector(each) for each in neighbors]
        self._hashes: Hashes = hashes_of([_hash_text(each) for each in neighbors])

    def is_new(self, neighbor: Neighbor) -> bool:
        """Add the next neighbour; return whether it shows another picture than those before it."""
        (own_hash,), vector = hashes_of([_hash_text(neighbor)]), _vector(neighbor)
        is_new = not same_as(own_hash, vector, self._hashes[-LOOK_BACK:], self._vectors[-LOOK_BACK:]).any()
        self._places.append(neighbor.place)
        self._vectors.append(vector)
        self._hashes = np.vstack((self._hashes, own_hash))
        return is_new

    def since(self, last: Position) -> Position | None:
        """Return the position just before the `LOOK_BACK` neighbours up to `last`; None if fewer are known."""
        count = sum(_order(place) <= _order(last) for place in self._places)
        return self._places[count - LOOK_BACK - 1] if count > LOOK_BACK else None


def _order(place: Position) -> tuple[float, int]:
    return place.distance, place.row


def _vector(neighbor: Neighbor) -> Vector:
    assert neighbor.vector is not None  # noqa: S101 — it was requested
    return neighbor.vector


def _hash_text(neighbor: Neighbor) -> str:
    """Return the hex digits of an image's perceptual hash, or ""."""
    attributes: Any = from_text(neighbor.attributes or "{}")
    return str(attributes.get("image", {}).get("perceptual_hash", ""))
