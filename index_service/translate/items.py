"""Items: what is written, deleted, read and listed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.errors import DimensionMismatch, InvalidId, InvalidVector
from index_service.reads import StoredItem
from index_service.translate.structs import attributes_json, attributes_struct
from index_service.vectors import NoDirection, Vectors, unit
from index_service.writes import Delete, NewItem, Upsert
from serving.errors import InvalidField

MAX_BATCH = 5_000
MAX_ID_BYTES = 512
_FORBIDDEN_IN_IDS = re.compile(r"[/\x00-\x1f\x7f-\x9f]")


def to_upsert(message: pb.UpsertItemsRequest, dimension: int) -> Upsert:
    """Returns the items of a message.

    Raises:
        InvalidField: there are none or too many, or attributes that cannot be kept.
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
                attributes_json(item.attributes, f"items[{number}].attributes"),
                vectors.get(number),
            )
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


def from_item(item: StoredItem) -> pb.Item:
    """Returns an item with what was read of it."""
    return pb.Item(
        id=item.id,
        vector=None if item.vector is None else item.vector.tolist(),
        attributes=None if item.attributes is None else attributes_struct(item.attributes, None),
    )


def _check_count(count: int, field: str) -> None:
    if not 1 <= count <= MAX_BATCH:
        raise InvalidField(field, f"must be 1 to {MAX_BATCH:,} in a message; there were {count}.")
