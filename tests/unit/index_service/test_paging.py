"""Pages of a search while items come and go, compared with a dictionary and NumPy."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from numpy.typing import NDArray

from index_service.attributes import AttributePath, to_json
from index_service.definition import LOCAL_ENGINES, EngineKind, IndexDefinition
from index_service.engines.contract import Engine, Found, Tuned
from index_service.engines.exact import ExactEngine, ExactSearcher
from index_service.errors import PositionOutOfDate
from index_service.filters import Filter, OneOf
from index_service.items import Delete, NewItem, Upsert
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.merge_plan import Thresholds
from index_service.local.vector_index import VectorIndex
from index_service.results import Answer, Position
from index_service.vectors import Mask, Vectors, distances, unit
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill, random_units
from tests.unit.index_service.engines_in_process import engine_of

# Small enough that segments appear, fill with dead rows and disappear within a few steps.
THRESHOLDS = Thresholds(full_scan_threshold=8, deleted_threshold=0.2, vacuum_min_vector_number=4)
COLOUR = AttributePath.parse("colour")
IDS = st.sampled_from([f"id-{number}" for number in range(30)])
# The 24 corners of the 24-cell: their unit vectors and products are exact in binary, and ties are common.
CORNERS = [tuple(sign * (axis == other) for other in range(4)) for axis in range(4) for sign in (2, -2)]
CORNERS += list(itertools.product((1, -1), repeat=4))
DIRECTIONS = st.sampled_from(CORNERS)
COLOURS = st.sampled_from(["red", "green"])


def position(answer: Answer, shown: int) -> Position:
    """Return the position of the last neighbour of an answer; `shown` is the number of neighbours up to it."""
    last = answer.neighbors[0][-1]
    return Position(last.distance, last.row, shown)


def next_page(
    index: VectorIndex, query: Vectors, size: int, after: Position | None, *, exact: bool = False
) -> tuple[list[str], Position | None]:
    """Return the ids of a page, and the position after which the next one begins."""
    answer = index.search([query], size, None, attributes=False, recall=1.0 if exact else None, after=[after])
    ids = [each.id for each in answer.neighbors[0]]
    return ids, position(answer, len(ids) + (after.rank if after else 0)) if ids else None


@dataclass
class Expected:
    direction: tuple[int, ...]
    colour: str
    age: int


class PagingMachine(RuleBasedStateMachine):
    """One walk through the pages of a search, with other operations between pages."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.stack = ExitStack()
        self.expected: dict[str, Expected] = {}
        self.clock = 0

    @initialize(
        engine=st.sampled_from(sorted(LOCAL_ENGINES)), directions=st.lists(DIRECTIONS, min_size=30, max_size=30)
    )
    def create(self, engine: EngineKind, directions: list[tuple[int, ...]]) -> None:
        self.catalog: Catalog = self.stack.enter_context(open_catalog(self.folder, engine_of, THRESHOLDS))
        self.index: VectorIndex = self.catalog.create(IndexDefinition("items", 4, "model", engine=engine))
        self.begin(directions[0], None, None)
        self.upsert([(f"id-{number}", direction, "red") for number, direction in enumerate(directions)])

    @rule(direction=DIRECTIONS, colour=st.none() | COLOURS, by_item=st.none() | IDS)
    def begin(self, direction: tuple[int, ...], colour: str | None, by_item: str | None) -> None:
        self.excluded = by_item if by_item in self.expected else None
        self.direction = self.expected[by_item].direction if by_item and self.excluded else direction
        self.colour = colour
        self.after: Position | None = None
        self.age = 0
        self.shown: list[str] = []
        self.touched: set[str] = set()
        self.steady = set(self.expected)

    @rule(batch=st.lists(st.tuples(IDS, DIRECTIONS, COLOURS), min_size=1, max_size=4))
    def upsert(self, batch: list[tuple[str, tuple[int, ...], str]]) -> None:
        vectors = unit(np.array([direction for _, direction, _ in batch], dtype=np.float32))
        items = [NewItem(each[0], to_json({"colour": each[2]}), row) for each, row in zip(batch, vectors, strict=True)]
        self.index.upsert(Upsert(tuple(items))).result()
        order = list(dict.fromkeys(item_id for item_id, _, _ in batch))
        for item_id, direction, colour in batch:
            self.expected[item_id] = Expected(direction, colour, self.clock + order.index(item_id))
        self.clock += len(order)
        self.touch(order)

    @rule(item_id=IDS, colour=COLOURS)
    def change_attributes(self, item_id: str, colour: str) -> None:
        if item_id in self.expected:
            self.index.upsert(Upsert((NewItem(item_id, to_json({"colour": colour}), None),))).result()
            self.expected[item_id].colour = colour
            if self.colour is not None:
                self.touch([item_id])

    @rule(ids=st.lists(IDS, min_size=1, max_size=4))
    def delete(self, ids: list[str]) -> None:
        self.index.delete(Delete(tuple(ids))).result()
        for item_id in ids:
            self.expected.pop(item_id, None)
        self.touch(ids)

    @rule()
    def optimize(self) -> None:
        self.index.optimize(lambda _done, _total: None).result()

    @rule()
    def reopen(self) -> None:
        self.stack.close()
        self.catalog = self.stack.enter_context(open_catalog(self.folder, engine_of, THRESHOLDS))
        self.index = self.catalog.get("items")

    def same_search(self) -> bool:
        """Return whether the query item still has the vector with which the walk began."""
        return self.excluded is None or self.excluded not in self.touched

    # A named function: describing a lambda parses this file, and CPython 3.11 has a bug there with threads (gh-106905).
    @precondition(same_search)
    @rule(size=st.integers(1, 9), exact=st.booleans(), guess=st.none() | st.integers(0, 100))
    def turn_the_page(self, size: int, exact: bool, guess: int | None) -> None:
        target = self.excluded or unit(np.array([self.direction], dtype=np.float32))[0]
        after = self.after and Position(self.after.distance, self.after.row, guess or self.after.rank)
        condition = None if self.colour is None else Filter(must=(OneOf(COLOUR, (self.colour,)),))
        answer = self.index.search(
            [target], size, condition, attributes=False, recall=1.0 if exact else None, after=[after]
        )
        ids = [each.id for each in answer.neighbors[0]]
        assert ids == self.remaining()[:size]
        self.shown += ids
        if ids:
            self.after = position(answer, len(self.shown))
            self.age = self.expected[ids[-1]].age
        if len(ids) < size:
            passing = {each for each in self.steady if self.colour in (None, self.expected[each].colour)}
            assert all(self.shown.count(each) == 1 for each in passing - {self.excluded})
            assert all(self.shown.count(each) <= 1 for each in set(self.shown) - self.touched)

    def remaining(self) -> list[str]:
        """Return the ids after the last one shown, nearest first."""
        query = np.array(self.direction) / np.linalg.norm(self.direction)
        ranked = []
        for item_id, item in self.expected.items():
            if item_id != self.excluded and self.colour in (None, item.colour):
                vector = np.array(item.direction) / np.linalg.norm(item.direction)
                place = (np.float32(np.linalg.norm(query - vector)), item.age)
                if self.after is None or place > (np.float32(self.after.distance), self.age):
                    ranked.append((*place, item_id))
        return [item_id for _, _, item_id in sorted(ranked)]

    def touch(self, ids: Sequence[str]) -> None:
        self.steady -= set(ids)
        self.touched |= set(ids)

    def teardown(self) -> None:
        self.stack.close()
        shutil.rmtree(self.folder)


PagingMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Each example opens and syncs files, so shrinking would take minutes.
    phases=[phase for phase in Phase if phase is not Phase.shrink],
)
TestPagesWhileAnythingHappens = PagingMachine.TestCase


@dataclass(frozen=True)
class CarelessSearcher:
    """Ranks every third row too far away, and records how many neighbours were requested."""

    vectors: Vectors
    requested: list[int]

    def tuned(self) -> Tuned:
        return Tuned(1, 0.9, 0, None, None, self.vectors.shape[1])

    def nearest(self, queries: Vectors, k: int, eligible: Mask, recall: float) -> Found:
        if recall == 1.0 or k >= np.count_nonzero(eligible):
            return ExactSearcher(self.vectors).nearest(queries, k, eligible, recall)
        self.requested.append(k)
        penalty = 0.3 * (np.arange(len(self.vectors)) % 3 == 0)
        found = []
        for query in queries:
            order = np.argsort(distances(query, self.vectors) + penalty)
            found.append(order[eligible[order]][:k])
        return Found(found, compared_all=False)


class CarelessEngine(ExactEngine):
    def __init__(self) -> None:
        self.requested: list[int] = []

    def open(self, vectors: Vectors, folder: Path) -> CarelessSearcher:  # type: ignore[override]
        del folder
        return CarelessSearcher(vectors, self.requested)


@pytest.fixture
def careless(tmp_path: Path, stack: ExitStack) -> tuple[CarelessEngine, VectorIndex, NDArray[np.float32]]:
    """Return an approximate engine, an index with 300 items in one of its segments, and their vectors."""
    engine = CarelessEngine()
    factory: Callable[[IndexDefinition], Engine] = lambda _: engine  # noqa: E731
    index = stack.enter_context(open_catalog(tmp_path, factory, NEVER)).create(IndexDefinition("items", 4, "model"))
    vectors = fill(index, 300)
    index.optimize(lambda _done, _total: None).result()
    return engine, index, vectors


def walk(index: VectorIndex, query: Vectors, size: int, between: Callable[[], None] = lambda: None) -> list[list[str]]:
    pages = []
    page, after = next_page(index, query, size, None)
    while after is not None:
        pages.append(page)
        between()
        page, after = next_page(index, query, size, after)
    return pages


def test_approximate_pages_are_in_order_full_and_without_repeats(
    careless: tuple[CarelessEngine, VectorIndex, NDArray[np.float32]],
) -> None:
    engine, index, vectors = careless
    query = random_units(7, 1, 4)[0]
    ranks = {str(number): rank for rank, number in enumerate(np.argsort(distances(query, vectors)).tolist())}
    pages = walk(index, query, 7)
    shown = [ranks[each] for page in pages for each in page]
    assert shown == sorted(set(shown)), "in order, without duplicates"
    assert len(shown) < len(vectors), "the engine misses some"
    for page in pages[:-1]:
        assert len(page) == 7
    left = len(vectors) - 1 - ranks[pages[-1][-1]]
    assert left == 0, "the last page ends with the last item"
    assert engine.requested[:2] == [7, 14], "the request covers what was shown and one more page"


def test_an_engine_that_proposes_too_few_is_queried_again(
    careless: tuple[CarelessEngine, VectorIndex, NDArray[np.float32]],
) -> None:
    engine, index, vectors = careless
    query = random_units(7, 1, 4)[0]
    ranked = np.argsort(distances(query, vectors))
    after = Position(float(distances(query, vectors[ranked[39]][None, :])[0]), int(ranked[39]) + 1, 0)
    engine.requested.clear()
    page, _ = next_page(index, query, 10, after)
    assert engine.requested == [10, 20, 40, 80]
    assert len(page) == 10
    everything, _ = next_page(index, query, 10, after, exact=True)
    assert everything == [str(number) for number in ranked[40:50]]


def test_an_exact_walk_misses_nothing_whatever_the_engine(
    careless: tuple[CarelessEngine, VectorIndex, NDArray[np.float32]],
) -> None:
    _, index, vectors = careless
    query = random_units(7, 1, 4)[0]
    shown: list[str] = []
    page, after = next_page(index, query, 7, None, exact=True)
    while after is not None:
        shown += page
        page, after = next_page(index, query, 7, after, exact=True)
    assert shown == [str(number) for number in np.argsort(distances(query, vectors))]


@given(size=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_identical_vectors_appear_once_each_oldest_first(size: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder, open_catalog(Path(folder), engine_of, NEVER) as catalog:
        index = catalog.create(IndexDefinition("items", 300, "model"))
        vectors = random_units(seed, 4, 300)[np.arange(40) % 4]
        items = [NewItem(f"{number}", "{}", vector) for number, vector in enumerate(vectors)]
        index.upsert(Upsert(tuple(items[:25]))).result()
        index.optimize(lambda _done, _total: None).result()
        index.upsert(Upsert(tuple(items[25:]))).result()
        pages = walk(index, vectors[0], size)
        assert [each for page in pages for each in page][:10] == [f"{number}" for number in range(0, 40, 4)]
        assert sorted(each for page in pages for each in page) == sorted(f"{number}" for number in range(40))


def test_the_position_of_a_deleted_item_stays_valid(open_data: OpenCatalog) -> None:
    index = open_data().create(IndexDefinition("items", 8, "model"))
    query = fill(index, 50)[0]
    expected = [each for page in walk(index, query, 50) for each in page]
    remaining = iter(expected)

    def delete_the_last_shown() -> None:
        index.delete(Delete(tuple(itertools.islice(remaining, 5)))).result()

    assert [each for page in walk(index, query, 5, delete_the_last_shown) for each in page] == expected
    assert index.stats().item_count == 0


def test_a_position_is_valid_only_in_its_own_index(open_data: OpenCatalog) -> None:
    catalog = open_data()
    index = catalog.create(IndexDefinition("items", 8, "model"))
    uid = index.uid
    catalog = open_data()
    catalog.get("items").check_uid(uid)
    catalog.delete("items")
    again = catalog.create(IndexDefinition("items", 8, "model"))
    with pytest.raises(PositionOutOfDate):
        again.check_uid(uid)
