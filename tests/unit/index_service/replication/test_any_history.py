"""Random histories of a writer and a replica: whatever stops in between, the replica has a state that the writer had.

Published versions are compared by everything that callers can see: listings, items, counts, searches and aliases.
"""

import itertools
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from index_service.attributes import AttributePath, to_json
from index_service.definition import LOCAL_ENGINES, EngineKind, IndexDefinition
from index_service.filters import Filter, OneOf
from index_service.items import Delete, NewItem, Upsert
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.index_reads import IndexReads
from index_service.local.merge_plan import Thresholds
from index_service.replication import index_publication, place
from index_service.replication.errors import NothingPublished
from index_service.replication.following import Follower, open_follower
from index_service.replication.place import HEAD, Place
from index_service.replication.publishing import Publisher, Terms
from index_service.replication.replica_catalog import ReplicaCatalog
from index_service.results import Listing
from index_service.vectors import unit
from tests.unit.index_service.engines_in_process import engine_of
from tests.unit.index_service.replication.stored_objects import StoredObjects

NEVER = Thresholds(full_scan_threshold=10**9, deleted_threshold=1.0, vacuum_min_vector_number=10**9)
COLOUR = AttributePath.parse("colour")
IDS = st.sampled_from([f"id-{number}" for number in range(12)])
CORNERS = [tuple(sign * (axis == other) for other in range(4)) for axis in range(4) for sign in (2, -2)]
CORNERS += list(itertools.product((1, -1), repeat=4))
COLOURS = st.sampled_from(["red", "green"])
NAMES = st.sampled_from(["one", "two"])
STOPS = st.integers(0, 12)


class ReplicaMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.objects = StoredObjects()
        self.writing, self.reading = ExitStack(), ExitStack()
        # By beat: what the writer had when it was published.
        self.history: dict[tuple[int, str, int], Any] = {}

    @initialize(engine=st.sampled_from(sorted(LOCAL_ENGINES)))
    def begin(self, engine: EngineKind) -> None:
        self.engine = engine
        self.start_writer()
        self.start_replica()
        self.create("one")

    def start_writer(self) -> None:
        self.catalog: Catalog = self.writing.enter_context(open_catalog(self.folder / "writer", engine_of, NEVER))
        self.publisher = Publisher(Place(self.objects), self.catalog, "writer:1", Terms(grace_seconds=0))

    def start_replica(self) -> None:
        self.follower: Follower = self.reading.enter_context(
            open_follower(Place(self.objects), self.folder / "replica", engine_of)
        )

    def create(self, name: str) -> None:
        definition = IndexDefinition(name, 4, "model", engine=self.engine, indexed_attributes=(COLOUR,))
        self.catalog.create(definition)

    def has(self, name: str) -> bool:
        return any(index.definition.name == name for index in self.catalog.everything()[0])

    @rule(name=NAMES, batch=st.lists(st.tuples(IDS, st.sampled_from(CORNERS), COLOURS), min_size=1, max_size=8))
    def upsert(self, name: str, batch: list[tuple[str, tuple[int, ...], str]]) -> None:
        if not self.has(name):
            self.create(name)
        items = tuple(NewItem(each, to_json({"colour": colour}), unit_of(corner)) for each, corner, colour in batch)
        self.catalog.get(name).upsert(Upsert(items)).result()

    @rule(name=NAMES, colour=COLOURS, item_id=IDS)
    def repaint(self, name: str, colour: str, item_id: str) -> None:
        if self.has(name) and self.catalog.get(name).items([item_id], vectors=False):
            item = NewItem(item_id, to_json({"colour": colour}), None)
            self.catalog.get(name).upsert(Upsert((item,))).result()

    @rule(name=NAMES, ids=st.lists(IDS, min_size=1, max_size=6))
    def delete(self, name: str, ids: list[str]) -> None:
        if self.has(name):
            self.catalog.get(name).delete(Delete(tuple(ids))).result()

    @rule(name=NAMES)
    def merge(self, name: str) -> None:
        if self.has(name):
            self.catalog.get(name).optimize(lambda _done, _total: None).result()

    @rule(name=NAMES, alias=st.sampled_from(["current", "other"]))
    def name_by_alias(self, name: str, alias: str) -> None:
        if self.has(name):
            self.catalog.set_alias(alias, name)

    @rule(name=NAMES)
    def drop(self, name: str) -> None:
        if self.has(name):
            for alias in self.catalog.aliases(name):
                self.catalog.delete_alias(alias)
            self.catalog.delete(name)

    @rule()
    def publish(self) -> None:
        state = seen_through(self.catalog)
        self.publisher.beat()
        self.history[self.publisher.newest] = state

    @rule()
    def keep_up(self) -> None:
        self.publisher.upkeep()

    @rule(operation=STOPS, upkeep=st.booleans(), after=st.booleans())
    def publisher_stops(self, operation: int, upkeep: bool, after: bool) -> None:
        """The writer ends at some operation of the object store, and starts again."""
        state, before = seen_through(self.catalog), self.publisher.newest
        with self.objects.stopping_at(operation, after=after):
            (self.publisher.upkeep if upkeep else self.publisher.beat)()
        if self.publisher.newest not in (None, before):
            self.history[self.publisher.newest] = state
        self.writing.close()
        self.start_writer()

    @rule()
    def follow(self) -> None:
        if HEAD in self.objects.objects:
            self.follower.poll()
            assert self.follower.beat is not None
            assert seen_through(self.follower.catalog) == self.history[self.follower.beat]

    @rule(operation=STOPS)
    def replica_stops(self, operation: int) -> None:
        with self.objects.stopping_at(operation), suppress(NothingPublished):
            self.follower.poll()
        self.reading.close()
        self.start_replica()

    @rule()
    def writer_is_an_older_copy(self) -> None:
        """The writer's folder is restored from a copy that lacks the last write; replicas may have more."""
        self.writing.close()
        copy = self.folder / "copy"
        if copy.exists():
            shutil.rmtree(self.folder / "writer")
            copy.rename(self.folder / "writer")
        else:
            shutil.copytree(self.folder / "writer", copy)
        self.start_writer()

    def teardown(self) -> None:
        self.publisher.upkeep()
        state = seen_through(self.catalog)
        self.publisher.beat()
        self.follower.poll()
        while self.follower.is_waiting:
            self.follower.poll()
        assert seen_through(self.follower.catalog) == state
        self.reading.close()
        self.writing.close()
        shutil.rmtree(self.folder)


def unit_of(corner: tuple[int, ...]) -> Any:
    return unit(np.array([corner], dtype=np.float32))[0]


def seen_through(catalog: Catalog | ReplicaCatalog) -> Any:
    """Return everything that callers can see, without what depends on how much has been merged."""
    return [
        (index.definition.name, catalog.aliases(index.definition.name), seen_in(index))
        for index in catalog.page("", 100)
    ]


def seen_in(index: IndexReads) -> Any:
    queries = [unit_of(corner) for corner in CORNERS[::5]]
    red = Filter((OneOf(COLOUR, ("red",)),))
    listing = Listing(COLOUR, 100, None, Filter(), None)
    return (
        index.uid,
        index.version,
        index.stats().item_count,
        [
            (item.row, item.sequence, item.id, item.attributes, item.vector.tobytes())
            for item in index.page(0, 100, Filter(), vectors=True)
        ],
        [listed.item.id for block in index.descending(listing, vectors=False) for listed in block],
        list(index.count(red, queries[0], [0.5, 1.0, 1.5], []))[-1],
        index.search(queries, 5, None, attributes=True, recall=1.0),
        index.search(queries, 5, red, attributes=False),
    )


@pytest.mark.parametrize("few", [True, False])
def test_a_replica_equals_the_writer(few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PIECE_BYTES", 32_768)
    monkeypatch.setattr(index_publication, "_LEAST_BASE_BYTES", 2_000)
    monkeypatch.setattr(index_publication, "_BASE_SHARE", 0.0)
    monkeypatch.setattr(index_publication, "_CHANGES_PER_LEVEL", 2)
    monkeypatch.setattr(index_publication, "_RECENT", 1)
    if few:
        monkeypatch.setattr(index_publication, "_LEAST_BASE_BYTES", 10**9)
    run_state_machine_as_test(
        ReplicaMachine,
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Each example opens and syncs files, so shrinking would take minutes.
            phases=[phase for phase in Phase if phase is not Phase.shrink],
        ),
    )
