"""Items: what is written, deleted, read and listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.errors import DimensionMismatch, InvalidId, InvalidVector
from index_service.reads import StoredItem
from index_service.translate.structs import attributes_json, attributes_struct, canonical_json
from index_service.vectors import NoDirection, Vectors, unit
from index_service.writes import Delete, NewItem, Upsert
from serving.errors import InvalidField

MAX_BATCH = 5_000
MAX_ID_BYTES = 512
_MAX_PAGE_BYTES = 3 * 2**20
_FORBIDDEN_IN_IDS = re.compile(r"[/\x00-\x1f\x7f-\x9f]")


def to_upsert(message: pb.UpsertItemsRequest, dimension: int) -> Upsert:
    """Returns the items of a message.

    Raises:
        InvalidField: there are none or too many, or attributes that cannot be kept.
        InvalidId, DimensionMismatch, InvalidVector: an item breaks the rules.
    """
    _check_count(len(message.items), "items")
    vectors = _packed_vectors(message, dimension) if message.vectors else _own_vectors(message, dimension)
    return Upsert(
        tuple(
            NewItem(to_id(item.id, f"items[{number}].id"), _attributes(item, number), vectors.get(number))
            for number, item in enumerate(message.items)
        )
    )


def to_delete(message: pb.DeleteItemsRequest) -> Delete:
    """Returns the ids to delete. Raises as `to_ids`."""
    return Delete(to_ids(message.ids))


def to_ids(ids: Sequence[str]) -> tuple[str, ...]:
    """Returns ids.

    Raises:
        InvalidField: there are none or too many.
        InvalidId: one breaks the rules.
    """
    _check_count(len(ids), "ids")
    return tuple(to_id(item_id, f"ids[{number}]") for number, item_id in enumerate(ids))


def to_id(item_id: str, field: str) -> str:
    """Returns an id.

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


def to_vectors(vectors: Sequence[Sequence[float]], dimension: int, fields: Sequence[str]) -> Vectors:
    """Returns vectors (n, dimension) at length 1; `fields` name them in errors.

    Raises:
        DimensionMismatch, InvalidVector: one cannot be held against those of the index.
    """
    for vector, field in zip(vectors, fields, strict=True):
        if len(vector) != dimension:
            raise DimensionMismatch(field, len(vector), dimension)
    try:
        return unit(np.array(vectors, dtype=np.float32).reshape(-1, dimension))
    except NoDirection as error:
        raise InvalidVector(fields[error.row], error.problem) from error


def _own_vectors(message: pb.UpsertItemsRequest, dimension: int) -> dict[int, Vectors]:
    """Returns the vectors that items have themselves, by the items' numbers."""
    numbers = [number for number, item in enumerate(message.items) if item.vector]
    rows = to_vectors(
        [message.items[number].vector for number in numbers],
        dimension,
        [f"items[{number}].vector" for number in numbers],
    )
    return dict(zip(numbers, rows, strict=True))


def _packed_vectors(message: pb.UpsertItemsRequest, dimension: int) -> dict[int, Vectors]:
    """Returns the vectors that the message has for all of its items, by the items' numbers."""
    count = len(message.items)
    if len(message.vectors) != 4 * dimension * count:
        raise InvalidField(
            "vectors",
            f"must have {4 * dimension * count:,} bytes, for {count:,} items of {dimension:,} float32 each; there were "
            f"{len(message.vectors):,}.",
        )
    if any(item.vector for item in message.items):
        raise InvalidField("vectors", "cannot stand beside an item that has a vector itself.")
    try:
        return dict(enumerate(unit(np.frombuffer(message.vectors, dtype="<f4").reshape(count, dimension))))
    except NoDirection as error:
        raise InvalidVector(f"vectors[{error.row}]", error.problem) from error


def _attributes(item: pb.Item, number: int) -> str:
    if not item.attributes_json:
        return attributes_json(item.attributes, f"items[{number}].attributes")
    if item.HasField("attributes"):
        raise InvalidField(f"items[{number}].attributes_json", "cannot stand beside attributes.")
    return canonical_json(item.attributes_json, f"items[{number}].attributes_json")


def from_item(item: StoredItem) -> pb.Item:
    """Returns an item with what was read of it."""
    return pb.Item(
        id=item.id,
        vector=None if item.vector is None else item.vector.tolist(),
        attributes=None if item.attributes is None else attributes_struct(item.attributes, None),
    )


def to_page(found: Iterable[StoredItem], size: int) -> tuple[list[pb.Item], int | None]:
    """Returns the items of a page, and the sequence of the last of them if others follow.

    A page has at most `size` items and some 3 MiB: clients take messages of 4 MiB unless they are told otherwise.
    """
    page: list[pb.Item] = []
    page_bytes = 0
    last: int | None = None
    for item in found:
        message = from_item(item)
        page_bytes += message.ByteSize()
        if len(page) == size or (page and page_bytes > _MAX_PAGE_BYTES):
            return page, last
        page.append(message)
        last = item.sequence
    return page, None


def _check_count(count: int, field: str) -> None:
    if not 1 <= count <= MAX_BATCH:
        raise InvalidField(field, f"must be 1 to {MAX_BATCH:,} in a message; there were {count}.")
