"""Counts and lists by distance, compared with what an exact search returns."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence

import numpy as np
import pytest

from index_service.attributes import AttributePath, to_json
from index_service.definition import EngineKind, IndexDefinition
from index_service.filters import Filter, OneOf
from index_service.items import Delete, NewItem, Upsert
from index_service.local import descending as descending_module
from index_service.local import within
from index_service.local.vector_index import VectorIndex
from index_service.results import Count, Listed, Listing, Neighborhood, Place
from index_service.vectors import Vectors
from tests.unit.index_service.conftest import OpenCatalog, random_units

TAKEN = AttributePath.parse("image.taken_time")
RED = Filter(must=(OneOf(AttributePath.parse("colour"), ("red",)),))
COUNT = 400


@pytest.fixture
def index(open_data: OpenCatalog, monkeypatch: pytest.MonkeyPatch) -> VectorIndex:
    """Return an index with rows in a segment, live rows and deleted ones in both; vectors and times repeat."""
    monkeypatch.setattr(within, "_CHUNK", 64)
    return filled(open_data, (TAKEN,))


def filled(open_data: OpenCatalog, indexed: tuple[AttributePath, ...]) -> VectorIndex:
    definition = IndexDefinition("items", 16, "model", engine=EngineKind.ANNOY, indexed_attributes=indexed)
    index = open_data().create(definition)
    vectors, choice = random_units(0, COUNT, 16), random.Random(0)
    vectors[::7] = vectors[0]
    items = []
    for number, vector in enumerate(vectors):
        attributes: dict[str, object] = {"colour": choice.choice(["red", "green"])}
        if choice.random() < 0.7:
            attributes["image"] = {"taken_time": f"2024-06-{choice.randint(1, 20):02}{choice.choice(['', '+02:00'])}"}
        items.append(NewItem(f"{number}", to_json(attributes), vector))  # type: ignore[arg-type]
    index.upsert(Upsert(tuple(items[:300]))).result()
    index.optimize(lambda _done, _total: None).result()
    index.upsert(Upsert(tuple(items[300:]))).result()
    index.delete(Delete(tuple(f"{number}" for number in range(0, COUNT, 9)))).result()
    return index


def searched(index: VectorIndex, query: Vectors, condition: Filter | None = None) -> dict[str, float]:
    """Return the ids and distances of all items, by an exact search."""
    (neighbors,) = index.search([query], COUNT, condition, attributes=False, recall=1.0).neighbors
    return {each.id: each.distance for each in neighbors}


def counted(
    index: VectorIndex,
    query: Vectors | None,
    bounds: Sequence[float] = (),
    condition: Filter | None = None,
    left_out: Sequence[str] = (),
) -> Count:
    return list(index.count(condition, query, bounds, left_out))[-1]


@pytest.mark.parametrize("condition", [None, RED])
def test_counts_are_those_of_an_exact_search_at_every_distance_that_occurs(
    index: VectorIndex, condition: Filter | None
) -> None:
    query = random_units(0, 1, 16)[0]  # 50 items have exactly this vector
    found = searched(index, query, condition)
    bounds = sorted({0.0, *found.values(), *np.nextafter(np.float32([*found.values()]), np.float32(2)).tolist(), 2.0})
    count = counted(index, query, bounds, condition)
    assert count.items == len(found)
    assert count.within == tuple(sum(each <= bound for each in found.values()) for bound in bounds)


def test_items_can_be_left_out_of_the_counts(index: VectorIndex) -> None:
    query = random_units(0, 1, 16)[0]
    first, second, *_ = searched(index, query)
    everything = counted(index, query, [0.0, 2.0])
    without = counted(index, query, [0.0, 2.0], left_out=[first, second, "unknown"])
    assert without.within == tuple(each - 2 for each in everything.within)
    assert without.items == everything.items


def test_without_a_vector_items_are_only_counted(index: VectorIndex) -> None:
    assert counted(index, None) == Count(index.stats().item_count, ())
    assert counted(index, None, condition=RED).items == len(searched(index, random_units(1, 1, 16)[0], RED))


def listed(index: VectorIndex, size: int, condition: Filter, near: Neighborhood | None) -> list[Listed]:
    """Follow the pages of a list to their end."""
    found: list[Listed] = []
    after: Place | None = None
    while True:
        listing = Listing(TAKEN, size, after, condition, near)
        page = [each for block in index.descending(listing, vectors=False) for each in block]
        found += page
        if len(page) < size:
            return found
        after = page[-1].place


@pytest.mark.parametrize("indexed", [(), (TAKEN,)], ids=["without a database index", "with"])
def test_a_list_has_what_an_exact_search_finds_newest_first(
    open_data: OpenCatalog, indexed: tuple[AttributePath, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled(open_data, indexed)
    query = random_units(0, 1, 16)[0]
    for distance, condition, looked_up, size in itertools.product(
        (None, 0.0, 1.3), (Filter(), RED), (0, 5_000), (7, 1_000)
    ):
        monkeypatch.setattr(descending_module, "_LOOKED_UP", looked_up)
        found = searched(index, query, condition)
        expected = {each for each, length in found.items() if distance is None or length <= distance}
        near = None if distance is None else Neighborhood(query, distance)
        shown = listed(index, size, condition, near)
        assert sorted(each.item.id for each in shown) == sorted(expected)
        times = [json.loads(each.item.attributes or "").get("image", {}).get("taken_time", "") for each in shown]
        keys = [(time, each.item.row) for time, each in zip(times, shown, strict=True)]
        assert keys == sorted(keys, reverse=True)
        assert all(each.distance == (None if near is None else found[each.item.id]) for each in shown)


def test_pages_neither_repeat_nor_skip_what_stays(index: VectorIndex) -> None:
    everything = [each.item.id for each in listed(index, 1_000, Filter(), None)]
    near = Neighborhood(random_units(0, 1, 16)[0], 2.0)
    shown: list[str] = []
    after = None
    for number in range(COUNT):
        listing = Listing(TAKEN, 10, after, Filter(), near)
        page = [each for block in index.descending(listing, vectors=False) for each in block]
        if not page:
            break
        shown += [each.item.id for each in page]
        after = page[-1].place
        index.delete(Delete((page[-1].item.id, page[0].item.id))).result()
        newest = to_json({"image": {"taken_time": "2024-07"}})
        index.upsert(Upsert((NewItem(f"new {number}", newest, random_units(number, 1, 16)[0]),))).result()
    assert shown == everything


def test_a_caller_who_leaves_ends_the_work(index: VectorIndex) -> None:
    counts = index.count(None, random_units(0, 1, 16)[0], [1.0], ())
    next(counts)
    counts.close()
    blocks = index.descending(
        Listing(TAKEN, 10, None, Filter(), Neighborhood(random_units(0, 1, 16)[0], 2.0)), vectors=False
    )
    assert next(blocks) == []
    blocks.close()
    assert index.stats().item_count
