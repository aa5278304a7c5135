"""What every engine promises, and for each promise that one lacks, what holds instead.

Each test runs with each engine; the expected results come from plain Python and NumPy, never from another engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index_service.attributes import AttributePath, JsonValue, to_json
from index_service.backends import Backends
from index_service.contract import Index, Promise
from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import CheckReport
from index_service.errors import (
    IndexExists,
    IndexInUse,
    IndexNotFound,
    InvalidExport,
    ItemNotFound,
    ModelMismatch,
    NotWithEngine,
    PositionOutOfDate,
    TooDeep,
)
from index_service.export_format import ExportHeader, ExportPiece, ExportTrailer
from index_service.filters import Condition, Exists, Filter, OneOf, Within
from index_service.items import Delete, NewItem, Upsert
from index_service.results import Listing, Neighborhood, Position
from index_service.vectors import Vectors, distances, unit
from tests.contract.conftest import DIMENSION, ENGINES, MODEL, Create
from tests.unit.index_service.filter_oracle import passes

DEADLINE = 60.0
COUNT = 60


def units(count: int, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def put(index: Index, vectors: Vectors, attributes: Sequence[str] | None = None, first: int = 0) -> None:
    texts = attributes or ["{}"] * len(vectors)
    items = [
        NewItem(f"item {first + n}", text, vector) for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]
    assert index.upsert(Upsert(tuple(items))).result(DEADLINE).count == len(items)


def ids_of(index: Index, query: Vectors | str, k: int, condition: Filter | None = None, **options: object) -> list[str]:
    answer = index.search([query], k, condition, attributes=False, **options)  # type: ignore[arg-type]
    return [neighbor.id for neighbor in answer.neighbors[0]]


def listed(index: Index, condition: Filter = Filter()) -> list[str]:  # noqa: B008 — it is frozen
    return [item.id for item in index.page(0, 10_000, condition, vectors=False)]


def nearest(vectors: Vectors, query: Vectors) -> list[str]:
    return [f"item {n}" for n in np.lexsort((np.arange(len(vectors)), distances(query, vectors)))]


def test_searches_agree_with_numpy_in_order_and_distance(create: Create) -> None:
    index, vectors = create(), units(COUNT)
    put(index, vectors)
    query = units(1, seed=1)[0]
    (neighbors,) = index.search([query], 20, None, attributes=True, vectors=True).neighbors
    assert [each.id for each in neighbors] == nearest(vectors, query)[:20]
    numbers = [int(each.id.split()[1]) for each in neighbors]
    assert [each.distance for each in neighbors] == distances(query, vectors[numbers]).tolist()
    assert all(
        each.vector is not None and np.array_equal(each.vector, vectors[n])
        for each, n in zip(neighbors, numbers, strict=True)
    )
    assert {each.attributes for each in neighbors} == {"{}"}
    exact = index.search([query], 20, None, attributes=False, recall=1.0)
    assert exact.exact
    assert [each.id for each in exact.neighbors[0]] == nearest(vectors, query)[:20]
    assert ids_of(index, query, 1_000) == nearest(vectors, query)  # fewer than asked for: all


def test_an_item_is_not_its_own_neighbour_and_equals_are_in_the_order_of_their_rows(create: Create) -> None:
    index = create()
    vectors = np.repeat(units(2), 8, axis=0)
    put(index, vectors)
    assert ids_of(index, "item 3", 20) == [f"item {n}" for n in (0, 1, 2, 4, 5, 6, 7, *range(8, 16))]
    with pytest.raises(ItemNotFound):
        index.search(["nobody"], 3, None, attributes=False)


def test_pages_follow_each_other_while_items_come_and_go(create: Create) -> None:
    index, vectors = create(), units(COUNT)
    put(index, vectors)
    query = units(1, seed=1)[0]
    seen: list[str] = []
    after: Position | None = None
    while True:
        answer = index.search([query], 7, None, attributes=False, after=[after])
        if not (page := answer.neighbors[0]):
            break
        seen += [each.id for each in page]
        after = Position(page[-1].distance, page[-1].row, len(seen))
        if len(seen) == 14:
            index.delete(Delete(tuple(seen[:2]))).result(DEADLINE)  # before the position, and at it
            index.delete(Delete((seen[-1],))).result(DEADLINE)
    assert seen == nearest(vectors, query)


def test_a_search_deeper_than_the_engine_goes_is_refused_with_the_reason(
    backends: Backends, create: Create, engine: EngineKind
) -> None:
    index = create()
    put(index, units(3))
    deep = Position(0.1, 1, 9_999)
    if Promise.ANY_DEPTH in lacking(backends, engine):
        with pytest.raises(TooDeep, match="10,000"):
            index.search([units(1)[0]], 5, None, attributes=False, after=[deep])
    else:
        assert len(index.search([units(1)[0]], 5, None, attributes=False, after=[deep]).neighbors[0]) == 2


def test_writes_replace_and_keep_the_sequence_and_are_read_at_once(create: Create) -> None:
    index, vectors = create(), units(6)
    put(index, vectors)
    first = index.items(["item 1"], vectors=True)["item 1"]
    other = units(1, seed=5)[0]
    index.upsert(Upsert((NewItem("item 1", '{"a":1}', other), NewItem("item 2", '{"b":2}', None)))).result(DEADLINE)
    found = index.items(["item 1", "item 2", "nobody"], vectors=True)
    assert sorted(found) == ["item 1", "item 2"]
    assert (found["item 1"].sequence, found["item 1"].attributes) == (first.sequence, '{"a":1}')
    assert found["item 1"].row > max(
        item.row for item in index.page(0, 10, Filter(), vectors=False) if item.id != "item 1"
    )
    assert found["item 1"].vector is not None
    assert found["item 1"].vector.tolist() == other.tolist()
    assert (found["item 2"].attributes, ids_of(index, other, 1)) == ('{"b":2}', ["item 1"])
    assert found["item 2"].vector is not None
    assert found["item 2"].vector.tolist() == vectors[2].tolist()
    assert listed(index) == [f"item {n}" for n in range(6)]
    written = index.delete(Delete(("item 1", "nobody", "item 1"))).result(DEADLINE)
    assert (written.count, written.unknown_ids) == (1, ("nobody",))
    assert "item 1" not in ids_of(index, other, 10)
    put(index, other[None, :], first=1)
    assert listed(index) == [f"item {n}" for n in (0, 2, 3, 4, 5, 1)]


def test_a_message_with_attributes_of_no_item_changes_nothing(create: Create) -> None:
    index = create()
    put(index, units(2))
    with pytest.raises(ItemNotFound):
        index.upsert(Upsert((NewItem("new", "{}", units(1)[0]), NewItem("nobody", "{}", None)))).result(DEADLINE)
    assert listed(index) == ["item 0", "item 1"]


def test_vectors_of_another_model_and_positions_of_another_index_are_refused(create: Create) -> None:
    index = create()
    index.check_model(MODEL)
    index.check_uid(index.uid)
    with pytest.raises(ModelMismatch):
        index.check_model("other")
    with pytest.raises(PositionOutOfDate):
        index.check_uid(create("-other").uid)


ATTRIBUTES: tuple[Mapping[str, JsonValue], ...] = (
    {},
    {"a": 1},
    {"a": True, "b": "1"},
    {"a": None, "b": ["x", 1, [2], {"c": 3}]},
    {"a": {"b": 2.5}, "b": " x "},
    {"a": {"b": [1, 9]}, "b": []},
    {"a": "é", "b": {"a": "1"}},
    {"a.b": 1, "a": [1, "1", None]},
    {"a": "", "b": "Zebra"},
)
PATHS = tuple(AttributePath.parse(text) for text in ("a", "b", "a.b", "b.a", "`a.b`", "nothing"))
SCALARS = st.sampled_from([1, 2.5, "1", "x", " x ", "é", "", True, False, None, 9])
PATH = st.sampled_from(PATHS)
NUMBER = st.none() | st.sampled_from([0.0, 1.0, 2.5, 5.0])
TEXT = st.none() | st.sampled_from(["", "1", "a", "x"])
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.builds(OneOf, PATH, st.lists(SCALARS, max_size=3).map(tuple))
    | st.builds(Exists, PATH, st.booleans())
    | st.builds(Within, PATH, NUMBER, NUMBER, NUMBER, NUMBER)
    | st.builds(Within, PATH, TEXT, TEXT, TEXT, TEXT, st.just(True)),
    lambda inner: st.builds(Filter, *[st.lists(inner, max_size=2).map(tuple)] * 3),
    max_leaves=5,
)


def test_filters_mean_the_same_with_every_engine(create: Create) -> None:
    index, vectors = create(indexed=("a",)), units(len(ATTRIBUTES))
    put(index, vectors, [to_json({"a": "gone"})] * len(ATTRIBUTES))
    index.delete(Delete(tuple(f"item {n}" for n in range(len(ATTRIBUTES))))).result(DEADLINE)
    put(index, vectors, [to_json(dict(each)) for each in ATTRIBUTES])
    query = units(1, seed=1)[0]
    order = nearest(vectors, query)

    @given(condition=st.builds(Filter, *[st.lists(CONDITIONS, max_size=2).map(tuple)] * 3))
    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    def check(condition: Filter) -> None:
        wanted = [f"item {n}" for n, each in enumerate(ATTRIBUTES) if passes(condition, dict(each))]
        assert listed(index, condition) == wanted
        assert ids_of(index, query, 4, condition) == [each for each in order if each in wanted][:4]
        assert [*index.count(condition, None, (), ())][-1].items == len(wanted)

    check()


def test_counts_lists_and_sums_compare_every_item(create: Create) -> None:
    index, vectors = create(indexed=("day",)), units(COUNT)
    texts = [
        to_json({"day": f"2024-01-{n % 9 + 1:02}", "size": n} if n % 7 else {"size": "none"}) for n in range(COUNT)
    ]
    put(index, vectors, texts)
    query = units(1, seed=1)[0]
    lengths = distances(query, vectors)
    bounds = (0.0, 0.9, float(np.sort(lengths)[20]), 2.0)
    count = [*index.count(None, query, bounds, ["item 3", "nobody"])][-1]
    without = np.delete(lengths, 3)
    assert (count.items, count.within) == (COUNT, tuple(int((without <= np.float32(bound)).sum()) for bound in bounds))
    assert index.sum_of(AttributePath.parse("size")) == (51, sum(n for n in range(COUNT) if n % 7))
    day = AttributePath.parse("day")
    key = [
        (json.loads(text).get("day") is not None, json.loads(text).get("day") or "", n) for n, text in enumerate(texts)
    ]
    for near in (None, Neighborhood(query, bounds[2])):
        wanted = sorted(
            (n for n in range(COUNT) if near is None or lengths[n] <= np.float32(near.distance)), key=key.__getitem__
        )[::-1]
        seen, after = [], None
        while True:
            blocks = [*index.descending(Listing(day, 8, after, Filter(), near), vectors=False)]
            page = [each for block in blocks for each in block]
            if not page:
                break
            seen += page
            after = page[-1].place
        assert [each.item.id for each in seen] == [f"item {n}" for n in wanted]
        assert near is None or [each.distance for each in seen] == lengths[wanted].tolist()


def test_names_are_unique_and_aliases_move_atomically(
    backends: Backends, create: Create, engine: EngineKind, name: str
) -> None:
    first, second = create(), create("-second")
    alias = f"{name}-Alias"
    assert backends.set_alias(alias, name) is None
    assert (backends.get(alias).uid, backends.aliases(name)) == (first.uid, (alias,))
    for taken in (name, alias):
        with pytest.raises(IndexExists):
            backends.create(IndexDefinition(taken, 3, MODEL, engine=engine))
    with pytest.raises(IndexExists):
        backends.set_alias(name, f"{name}-second")
    with pytest.raises(IndexInUse):
        backends.delete(name)
    assert backends.set_alias(alias, f"{name}-second") == name
    assert backends.get(alias).uid == second.uid
    put(first, units(3))
    assert backends.delete(name) == 3
    with pytest.raises(IndexNotFound):
        backends.get(name)
    assert [each.definition.name for each in backends.page(f"{name}-r", 1)] == [f"{name}-second"]  # type: ignore[union-attr]
    # An index of another engine, with the alias moved there and back.
    elsewhere = EngineKind.EXACT
    third = backends.create(IndexDefinition(f"{name}-third", DIMENSION, MODEL, engine=elsewhere))
    assert backends.set_alias(alias, f"{name}-third") == f"{name}-second"
    assert (backends.get(alias).uid, backends.aliases(f"{name}-second")) == (third.uid, ())
    assert backends.set_alias(alias, f"{name}-second") == f"{name}-third"
    assert (backends.get(alias).uid, backends.aliases(f"{name}-third")) == (second.uid, ())
    assert backends.delete_alias(alias) == f"{name}-second"
    with pytest.raises(IndexNotFound):
        backends.get(alias)


@pytest.mark.parametrize("other", ENGINES, ids=[f"to-{each.value}" for each in ENGINES if each])
def test_an_export_becomes_an_equal_index_of_any_engine(
    backends: Backends, create: Create, name: str, other: EngineKind, request: pytest.FixtureRequest
) -> None:
    if other is EngineKind.WEAVIATE:
        backends = Backends([*backends.backends[:1], request.getfixturevalue("clusters")])
    index, vectors = create(indexed=("a.b",)), units(12)
    put(index, vectors, [to_json({"n": n}) for n in range(12)])
    put(index, units(2, seed=4), first=3)  # these have later rows, and keep their sequences
    index.delete(Delete(("item 5",))).result(DEADLINE)
    pieces = [*index.export()]
    copied = imported(backends, f"{name}-copy", pieces, other)
    assert copied.definition == replace(
        index.definition, name=f"{name}-copy", engine=other, created_microseconds=copied.definition.created_microseconds
    )
    again = [*copied.export()]
    assert [row for piece in pieces if isinstance(piece, tuple) for row in piece] == [
        row for piece in again if isinstance(piece, tuple) for row in piece
    ]
    assert listed(copied) == listed(index)
    put(copied, units(1, seed=9), first=99)
    assert listed(copied)[-1] == "item 99"
    # A damaged one leaves nothing.
    trailer = pieces[-1]
    assert isinstance(trailer, ExportTrailer)
    with pytest.raises(InvalidExport):
        imported(backends, f"{name}-bad", [*pieces[:-1], replace(trailer, sha256=bytes(32))], other)
    with pytest.raises(IndexNotFound):
        backends.get(f"{name}-bad")


def test_a_check_finds_a_sound_index_sound_and_an_optimized_one_has_a_recall(
    backends: Backends, create: Create, engine: EngineKind
) -> None:
    index = create()
    put(index, units(COUNT))
    *_, report = index.check()
    assert report == CheckReport((), COUNT, report.segment_count if isinstance(report, CheckReport) else 0)
    steps: list[tuple[int, int]] = []
    index.optimize(lambda done, total: steps.append((done, total))).result(DEADLINE)
    assert steps[-1] == (COUNT, COUNT)
    stats = index.stats()
    assert (stats.item_count, stats.recall) == (COUNT, 1.0)
    if Promise.REBUILD in lacking(backends, engine):
        assert stats.measurement is not None
        with pytest.raises(NotWithEngine):
            index.optimize(lambda done, total: None, rebuild=True)
    else:
        index.optimize(lambda done, total: None, rebuild=True).result(DEADLINE)


def test_a_snapshot_has_all_indexes_as_they_were(
    backends: Backends, create: Create, engine: EngineKind, name: str
) -> None:
    index = create()
    put(index, units(3))
    with backends.hold_snapshot() as snapshot:
        assert name in [each.definition.name for each in snapshot.indexes]
        write = index.upsert(Upsert((NewItem("late", "{}", units(1)[0]),)))
        if Promise.EXPORT_BESIDE_WRITES not in lacking(backends, engine):
            write.result(DEADLINE)
        pieces = [*snapshot.export(name)]
    assert [row.id for piece in pieces if isinstance(piece, tuple) for row in piece] == ["item 0", "item 1", "item 2"]
    write.result(DEADLINE)
    assert listed(index)[-1] == "late"


def lacking(backends: Backends, engine: EngineKind) -> Mapping[Promise, str]:
    (backend,) = (each for each in backends.backends if engine in each.engines)
    lacks: Mapping[Promise, str] = backend.catalog.lacks
    return lacks


def imported(backends: Backends, name: str, pieces: Sequence[ExportPiece], engine: EngineKind) -> Index:
    """Import as the servicer does."""
    header, *rest, trailer = pieces
    assert isinstance(header, ExportHeader)
    assert isinstance(trailer, ExportTrailer)
    filling = backends.begin_import(name, header, engine)
    try:
        for piece in rest:
            assert isinstance(piece, tuple)
            filling.add(piece)
        filling.complete(trailer)
        return backends.finish_import(filling)
    finally:
        filling.discard()
