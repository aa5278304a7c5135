"""Items: writing, deleting, reading and listing them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.attributes import MAX_DEPTH, is_canonical
from index_service.errors import DimensionMismatch, InvalidId, InvalidVector
from index_service.items import Delete, NewItem, StoredItem, Upsert
from index_service.vectors import NoDirection, Vectors, unit
from serving.errors import InvalidField
from serving.page_tokens import PageRoom

MAX_BATCH = 5_000
MAX_ID_BYTES = 512
MAX_ATTRIBUTES_BYTES = 64 * 2**10
# Items that are read before their size is known: at most 16 MiB.
_READ_AT_ONCE = 250
_FORBIDDEN_IN_IDS = re.compile(r"[/\x00-\x1f\x7f-\x9f]")


def to_upsert(message: pb.UpsertItemsRequest, dimension: int) -> Upsert:
    """Return the items of a message.

    Raises:
        InvalidField: there are no or too many items, or attributes that cannot be stored.
        InvalidId, DimensionMismatch, InvalidVector: an item breaks the rules.
    """
    _check_count(len(message.items), "items")
    numbers = [number for number, item in enumerate(message.items) if item.vector]
    rows = to_vectors(
        [message.items[number].vector for number in numbers],
        dimension,
        [f"items[{number}].vector" for number in numbers],
    )
    vectors = dict(zip(numbers, rows, strict=True))
    return Upsert(
        tuple(
            NewItem(
                to_id(item.id, f"items[{number}].id"),
                to_attributes(item.attributes, f"items[{number}].attributes"),
                vectors.get(number),
            )
            for number, item in enumerate(message.items)
        )
    )


def to_delete(message: pb.DeleteItemsRequest) -> Delete:
    """Return the ids to delete. Raises as `to_ids`."""
    return Delete(to_ids(message.ids))


def to_ids(ids: Sequence[str]) -> tuple[str, ...]:
    """Return validated ids.

    Raises:
        InvalidField: there are no or too many ids.
        InvalidId: an id breaks the rules.
    """
    _check_count(len(ids), "ids")
    return tuple(to_id(item_id, f"ids[{number}]") for number, item_id in enumerate(ids))


def to_id(item_id: str, field: str) -> str:
    """Return a validated id.

    Raises:
        InvalidId: it is empty or too long, or has a slash or a control character.
    """
    if not item_id:
        raise InvalidId(field, "is empty.")
    if len(item_id.encode()) > MAX_ID_BYTES:
        raise InvalidId(field, f"is longer than {MAX_ID_BYTES} bytes.")
    if _FORBIDDEN_IN_IDS.search(item_id):
        raise InvalidId(field, "has a slash or a control character.")
    return item_id


def to_attributes(text: str, field: str) -> str:
    """Return attributes, checked to be canonical JSON, unchanged; an empty text means {}.

    Raises:
        InvalidField: the text is not canonical, not an object, nested too deep, or too large.
    """
    if not text:
        return "{}"
    if len(text) > MAX_ATTRIBUTES_BYTES or len(text.encode()) > MAX_ATTRIBUTES_BYTES:
        raise InvalidField(field, f"are more than {MAX_ATTRIBUTES_BYTES} bytes as JSON; keep large things elsewhere.")
    if not is_canonical(text):
        raise InvalidField(
            field,
            "are not an object in canonical JSON: without spaces, characters as they are, whole numbers without a "
            f"fraction, at most {MAX_DEPTH} levels deep.",
        )
    return text


def to_vectors(packed: Sequence[bytes], dimension: int, fields: Sequence[str]) -> Vectors:
    """Return packed little-endian float32 vectors as (n, dimension), scaled to length 1; errors use the names `fields`.

    Raises:
        DimensionMismatch, InvalidVector: a vector cannot be compared with those of the index.
    """
    for vector, field in zip(packed, fields, strict=True):
        if len(vector) % 4:
            raise InvalidVector(field, f"must be float32 numbers of 4 bytes each; it has {len(vector):,} bytes.")
        if len(vector) != 4 * dimension:
            raise DimensionMismatch(field, len(vector) // 4, dimension)
    try:
        return unit(np.frombuffer(b"".join(packed), dtype="<f4").reshape(-1, dimension))
    except NoDirection as error:
        raise InvalidVector(fields[error.row], error.problem) from error


def from_item(item: StoredItem) -> pb.Item:
    """Return an item with the fields that were read."""
    return pb.Item(
        id=item.id,
        vector=b"" if item.vector is None else item.vector.tobytes(),
        attributes=item.attributes or "",
    )


def to_page(found: Iterable[StoredItem], size: int) -> tuple[list[pb.Item], int | None]:
    """Return the items of a page, and the sequence of the last one if more follow.

    A page has at most `size` items and about 3 MiB.
    """
    page: list[pb.Item] = []
    room = PageRoom()
    last: int | None = None
    for item in found:
        message = from_item(item)
        if len(page) == size or not room.fits(message):
            return page, last
        page.append(message)
        last = item.sequence
    return page, None


def to_part(ids: Sequence[str], read: Callable[[Sequence[str]], Mapping[str, StoredItem]]) -> pb.GetItemsResponse:
    """Return the items of the first ids, up to about 3 MiB, and which of these ids are unknown."""
    part = pb.GetItemsResponse()
    room = PageRoom()
    for start in range(0, len(ids), _READ_AT_ONCE):
        some = ids[start : start + _READ_AT_ONCE]
        found = read(some)
        for item_id in some:
            if item_id not in found:
                part.unknown_ids.append(item_id)
                continue
            message = from_item(found[item_id])
            if not room.fits(message):
                return part
            part.items.append(message)
    return part


def _check_count(count: int, field: str) -> None:
    if not 1 <= count <= MAX_BATCH:
        raise InvalidField(field, f"must be 1 to {MAX_BATCH:,} in a message; there were {count}.")
