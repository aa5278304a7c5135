"""All images above a search's cut, newest first, page by page.

The index compares every vector for each page. So a page costs the same however many images are above the cut, and
images that are added or deleted between two pages shift nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from semsearch.v1.query_pb2 import Filter

from gateway.backends.embedding import Vector
from gateway.backends.vector_index import NearItem, Neighborhood, VectorIndex
from gateway.collections.images import TAKEN_TIME
from gateway.collections.placements import Placement
from gateway.errors import SearchOutOfDate
from gateway.search.cursors import TimeCursor


async def newest_page(
    index: VectorIndex,
    placement: Placement,
    vector: Vector,
    distance: float | None,
    size: int,
    after: TimeCursor | None,
    filter_: Filter | None,
    left_out: Collection[str],
) -> tuple[Sequence[NearItem], TimeCursor | None]:
    """Return a page of the images within a distance, newest first, and where the next begins.

    A page lacks those that are `left_out`, so it may have fewer than `size`. No image is within the distance None.

    Raises:
        SearchOutOfDate: The search began in an index that has been replaced.
    """
    if after is not None and after.index != placement.index:
        raise SearchOutOfDate
    if distance is None:
        return (), None
    found, token = await index.list_within(
        placement.index,
        Neighborhood(vector, placement.model_id, distance),
        descending_by=TAKEN_TIME,
        page_size=size,
        page_token=after.token if after else "",
        filter_=filter_,
    )
    shown = [each for each in found if each.item.id not in left_out]
    return shown, TimeCursor(vector, placement.index, token) if token else None
