"""Random sequences of operations, compared with a dictionary and NumPy."""

import itertools
import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from index_service.attributes import AttributePath, to_json
from index_service.definition import LOCAL_ENGINES, EngineKind, IndexDefinition
from index_service.errors import IndexInUse, ItemNotFound
from index_service.filters import Filter, OneOf
from index_service.items import Delete, NewItem, Upsert
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.merge_plan import Thresholds
from index_service.local.vector_index import VectorIndex
from index_service.results import Neighbor
from index_service.vectors import Vectors, unit
from tests.unit.index_service.damage_found import damage_count
from tests.unit.index_service.engines_in_process import engine_of

# Small enough that segments appear, fill with dead rows and disappear within a few steps.
THRESHOLDS = Thresholds(full_scan_threshold=8, deleted_threshold=0.2, vacuum_min_vector_number=4)
COLOUR = AttributePath.parse("colour")

IDS = st.sampled_from([f"id-{number}" for number in range(12)])
# The 24 corners of the 24-cell: their unit vectors and products are exact in binary, and ties are common.
CORNERS = [tuple(sign * (axis == other) for other in range(4)) for axis in range(4) for sign in (2, -2)]
CORNERS += list(itertools.product((1, -1), repeat=4))
DIRECTIONS = st.sampled_from(CORNERS)
COLOURS = st.sampled_from(["red", "green"])


@dataclass
class Expected:
    direction: tuple[int, ...]
    colour: str
    age: int


class IndexMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.stack = ExitStack()
        self.expected: dict[str, Expected] = {}
        self.aliases: set[str] = set()
        self.clock = 0

    @initialize(engine=st.sampled_from(sorted(LOCAL_ENGINES)))
    def create(self, engine: EngineKind) -> None:
        self.catalog: Catalog = self.stack.enter_context(open_catalog(self.folder, engine_of, THRESHOLDS))
        definition = IndexDefinition("items", 4, "model", engine=engine, indexed_attributes=(COLOUR,))
        self.index: VectorIndex = self.catalog.create(definition)

    @rule(batch=st.lists(st.tuples(IDS, st.none() | DIRECTIONS, COLOURS), min_size=1, max_size=8))
    def upsert(self, batch: list[tuple[str, tuple[int, ...] | None, str]]) -> None:
        """Write items; some repeat within the batch, and some that exist by then have no vector."""
        items = tuple(
            NewItem(item_id, to_json({"colour": colour}), None if direction is None else unit_of(direction))
            for item_id, direction, colour in batch
        )
        after = {item_id: replace(item) for item_id, item in self.expected.items()}
        placed = list(dict.fromkeys(item_id for item_id, direction, _ in batch if direction is not None))
        order = [item_id for item_id in dict.fromkeys(item_id for item_id, _, _ in batch) if item_id in placed]
        for item_id, direction, colour in batch:
            if direction is not None:
                # A batch assigns rows in the order in which its ids first appear.
                after[item_id] = Expected(direction, colour, self.clock + order.index(item_id))
            elif item_id in after:
                after[item_id].colour = colour
            else:
                with pytest.raises(ItemNotFound):
                    self.index.upsert(Upsert(items)).result()
                return
        assert self.index.upsert(Upsert(items)).result().count == len(batch)
        self.expected = after
        self.clock += len(order)

    @rule(ids=st.lists(IDS, min_size=1, max_size=6))
    def delete(self, ids: list[str]) -> None:
        written = self.index.delete(Delete(tuple(ids))).result()
        known = {item_id for item_id in ids if item_id in self.expected}
        assert written.count == len(known)
        assert set(written.unknown_ids) == set(ids) - known
        for item_id in known:
            del self.expected[item_id]

    @rule(direction=DIRECTIONS, k=st.integers(1, 15), colour=st.none() | COLOURS, exact=st.booleans())
    def search_by_vector(self, direction: tuple[int, ...], k: int, colour: str | None, exact: bool) -> None:
        query = unit_of(direction)
        answer = self.index.search([query], k, condition(colour), attributes=True, recall=1.0 if exact else None)
        self.check(answer.neighbors[0], direction, k, colour, excluded=None)

    @rule(item_id=IDS, k=st.integers(1, 15), colour=st.none() | COLOURS)
    def search_by_item(self, item_id: str, k: int, colour: str | None) -> None:
        if item_id not in self.expected:
            with pytest.raises(ItemNotFound):
                self.index.search([item_id], k, condition(colour), attributes=False)
            return
        answer = self.index.search([item_id], k, condition(colour), attributes=True)
        self.check(answer.neighbors[0], self.expected[item_id].direction, k, colour, excluded=item_id)

    @rule(alias=st.sampled_from(["current", "other"]))
    def name_by_alias(self, alias: str) -> None:
        assert self.catalog.set_alias(alias, "items") == ("items" if alias in self.aliases else None)
        self.aliases.add(alias)
        assert self.catalog.get(alias) is self.index
        with pytest.raises(IndexInUse):
            self.catalog.delete("items")

    @rule()
    def delete_and_create_again(self) -> None:
        for alias in self.aliases:
            assert self.catalog.delete_alias(alias) == "items"
        self.aliases = set()
        assert self.catalog.delete("items") == len(self.expected)
        self.expected = {}
        self.index = self.catalog.create(self.index.definition)

    @rule()
    def optimize(self) -> None:
        self.index.optimize(lambda _done, _total: None).result()
        stats = self.index.stats()
        assert (stats.deleted_row_count, stats.live_row_count) == (0, 0)
        assert stats.segment_count == (1 if self.expected else 0)

    @rule()
    def reopen(self) -> None:
        self.stack.close()
        damages = damage_count()
        self.catalog = self.stack.enter_context(open_catalog(self.folder, engine_of, THRESHOLDS))
        self.index = self.catalog.get("items")
        assert damage_count() == damages
        assert set(self.catalog.aliases("items")) == self.aliases

    @rule(page=st.integers(1, 5), colour=st.none() | COLOURS)
    def list_in_pages(self, page: int, colour: str | None) -> None:
        listed: list[str] = []
        after = 0
        while found := list(self.index.page(after, page, condition(colour) or Filter(), vectors=False)):
            listed.extend(item.id for item in found)
            after = found[-1].sequence
        assert listed == [item_id for item_id, item in self.expected.items() if colour in (None, item.colour)]

    @invariant()
    def holds_what_was_written(self) -> None:
        if not hasattr(self, "index"):
            return
        assert self.index.stats().item_count == len(self.expected)
        found = self.index.items([f"id-{number}" for number in range(12)], vectors=True)
        assert {item_id: json.loads(item.attributes or "")["colour"] for item_id, item in found.items()} == {
            item_id: item.colour for item_id, item in self.expected.items()
        }
        for item_id, item in found.items():
            direction = np.array(self.expected[item_id].direction)
            np.testing.assert_allclose(item.vector, direction / np.linalg.norm(direction), rtol=1e-6)

    def check(
        self,
        neighbors: tuple[Neighbor, ...],
        direction: tuple[int, ...],
        k: int,
        colour: str | None,
        excluded: str | None,
    ) -> None:
        query = np.array(direction) / np.linalg.norm(direction)
        ranked = []
        for item_id, item in self.expected.items():
            if item_id != excluded and colour in (None, item.colour):
                vector = np.array(item.direction) / np.linalg.norm(item.direction)
                ranked.append((np.float32(np.linalg.norm(query - vector)), item.age, item_id, item.colour))
        assert [(each.distance, each.id, json.loads(each.attributes or "")["colour"]) for each in neighbors] == [
            (distance, item_id, shade) for distance, _, item_id, shade in sorted(ranked)[:k]
        ]

    def teardown(self) -> None:
        self.stack.close()
        shutil.rmtree(self.folder)


def unit_of(direction: tuple[int, ...]) -> Vectors:
    vector: Vectors = unit(np.array([direction], dtype=np.float32))[0]
    return vector


def condition(colour: str | None) -> Filter | None:
    return None if colour is None else Filter(must=(OneOf(COLOUR, (colour,)),))


IndexMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Each example opens and syncs files, so shrinking would take minutes.
    phases=[phase for phase in Phase if phase is not Phase.shrink],
)
TestAnySequenceOfOperations = IndexMachine.TestCase
