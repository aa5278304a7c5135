"""Searches: queries in, neighbours out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.translate.filters import to_filter, to_path
from index_service.api.translate.items import to_id, to_vectors
from index_service.attributes import AttributePath, from_json, select, to_json
from index_service.filters import Filter
from index_service.results import Answer, Neighbor, Position
from index_service.vectors import MAX_DISTANCE, Vectors
from serving.errors import InvalidField
from serving.page_tokens import PageRoom

MAX_QUERIES = 1_000
MAX_K = 10_000
# About 10 MB of neighbours without attributes.
MAX_NEIGHBORS = 200_000
# About 20 MB of vectors of the greatest dimension.
MAX_NEIGHBORS_WITH_VECTORS = 5_000
_NOTHING = "-"


@dataclass(frozen=True)
class SearchTerms:
    """A checked search.

    `after`: the position after which each query continues. `paths`: attributes to return; None for all, empty for
    none. `recall`: None means the index's target.
    """

    queries: tuple[Vectors | str, ...]
    after: tuple[Position | None, ...]
    k: int
    condition: Filter | None
    paths: tuple[AttributePath, ...] | None
    recall: float | None


def to_terms(message: pb.SearchRequest, dimension: int) -> SearchTerms:
    """Return what to search.

    Raises:
        InvalidField, InvalidFilter, InvalidId, DimensionMismatch, InvalidVector: the request breaks the rules.
    """
    if not 1 <= len(message.queries) <= MAX_QUERIES:
        raise InvalidField("queries", f"must be 1 to {MAX_QUERIES:,}; there were {len(message.queries)}.")
    if not 1 <= message.k <= MAX_K:
        raise InvalidField("k", f"must be 1 to {MAX_K:,}; it was {message.k}.")
    if message.k * len(message.queries) > MAX_NEIGHBORS:
        raise InvalidField("k", _too_many(MAX_NEIGHBORS))
    if message.include_vectors and message.k * len(message.queries) > MAX_NEIGHBORS_WITH_VECTORS:
        raise InvalidField("k", _too_many(MAX_NEIGHBORS_WITH_VECTORS, " with include_vectors"))
    if not 0 <= message.recall <= 1:  # NaN is not either
        raise InvalidField("recall", f"must be 0 to 1, 0 meaning the index's target; it was {message.recall:g}.")
    return SearchTerms(
        _queries(message, dimension),
        tuple(_position(query, number) for number, query in enumerate(message.queries)),
        message.k,
        to_filter(message.filter),
        _paths(message),
        1.0 if message.exact else message.recall or None,
    )


def has_vectors(message: pb.SearchRequest) -> bool:
    """Return whether a query is a model's vector."""
    return any(query.HasField("vector") for query in message.queries)


def has_positions(message: pb.SearchRequest) -> bool:
    """Return whether a query continues after a position."""
    return any(query.HasField("after") for query in message.queries)


def from_answer(answer: Answer, paths: tuple[AttributePath, ...] | None, index_uid: str) -> pb.SearchResponse:
    """Return the neighbours with the attributes at `paths`, and with their vectors if these were read.

    If they have attributes, the response is cut at about 3 MiB.
    """
    results: list[pb.SearchResult] = []
    room = PageRoom()
    for neighbors in answer.neighbors:
        shown: list[pb.Neighbor] = []
        for neighbor in neighbors:
            message = _neighbor(neighbor, paths)
            if neighbor.attributes is not None and not room.fits(message):
                break
            shown.append(message)
        results.append(
            pb.SearchResult(
                neighbors=shown,
                vectors=b"".join(each.vector.tobytes() for each in neighbors[: len(shown)] if each.vector is not None),
                truncated=len(shown) < len(neighbors),
            )
        )
    return pb.SearchResponse(results=results, exact=answer.exact, index_uid=index_uid)


def _neighbor(neighbor: Neighbor, paths: tuple[AttributePath, ...] | None) -> pb.Neighbor:
    attributes = neighbor.attributes or ""
    if attributes and paths is not None:
        attributes = to_json(select(from_json(attributes), paths))
    return pb.Neighbor(id=neighbor.id, distance=neighbor.distance, attributes=attributes, row=neighbor.row)


def _position(query: pb.SearchQuery, number: int) -> Position | None:
    if not query.HasField("after"):
        return None
    field, after = f"queries[{number}].after", query.after
    if math.isnan(after.distance) or not 0 <= after.distance <= MAX_DISTANCE:
        raise InvalidField(f"{field}.distance", f"must be 0 to {MAX_DISTANCE:g}; it was {after.distance:g}.")
    if min(after.row, after.rank) < 0:
        raise InvalidField(field, "has a negative row or rank.")
    return Position(after.distance, after.row, after.rank)


def _queries(message: pb.SearchRequest, dimension: int) -> tuple[Vectors | str, ...]:
    queries: list[Vectors | str] = []
    numbers = []
    for number, query in enumerate(message.queries):
        match query.WhichOneof("target"):
            case "vector":
                numbers.append(number)
                queries.append("")
            case "item_id":
                queries.append(to_id(query.item_id, f"queries[{number}].item_id"))
            case None:
                raise InvalidField(f"queries[{number}]", "has no target; set vector or item_id.")
    vectors = to_vectors(
        [message.queries[number].vector for number in numbers],
        dimension,
        [f"queries[{number}].vector" for number in numbers],
    )
    for number, vector in zip(numbers, vectors, strict=True):
        queries[number] = vector
    return tuple(queries)


def _paths(message: pb.SearchRequest) -> tuple[AttributePath, ...] | None:
    if not message.HasField("attributes_mask"):
        return None
    if list(message.attributes_mask.paths) == [_NOTHING]:
        return ()
    paths = []
    for number, text in enumerate(message.attributes_mask.paths):
        paths.append(to_path(text, f"attributes_mask.paths[{number}]"))
    return tuple(paths)


def _too_many(most: int, condition: str = "") -> str:
    return f"multiplied by the number of queries, must be at most {most:,}{condition}; send fewer queries in a call."
