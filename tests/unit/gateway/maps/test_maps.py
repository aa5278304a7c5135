"""Maps over doubles. The process that computes them is one too, because the real one takes seconds to start."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gateway.maps.map_maker
import gateway.maps.maps
from gateway.backends.vector_index import Engine, IndexInfo, Item, NewIndex
from gateway.collections.names import DEFAULT_COLLECTION, alias_of
from gateway.errors import CollectionNotFound, DependencyUnavailable, MapCancelled, MapFailed, MapNotFound
from gateway.maps import changes, computation
from gateway.maps.computation import Computed, Share
from gateway.maps.computing import VECTORS
from gateway.maps.layouts import can_be_neighborly, principal
from gateway.maps.map_files import MapFiles
from gateway.maps.map_maker import MapLimits, MapMaker
from gateway.maps.map_requests import MapRequests
from gateway.maps.map_run import MapProgress, MapRun, Stage
from gateway.maps.maps import Maps
from gateway.maps.regions import find_regions
from tests.unit.gateway.core import Core, open_core, until
from tests.unit.gateway.doubles import COLORS, MODEL, MemoryIndex, color_vector

GROUPS = ("red", "green", "blue")
EACH = 10


async def add(core: Core, color: str, first: int, count: int) -> list[str]:
    """Add images near to a colour, straight into the index; return their ids."""
    chance = np.random.default_rng(first)
    ids = [f"{color}-{number:03}" for number in range(first, first + count)]
    vectors = [color_vector(COLORS[color] + chance.normal(0, 9, 3)) for _ in ids]
    items = [Item(image_id, "{}", vector) for image_id, vector in zip(ids, vectors, strict=True)]
    await core.index.upsert(alias_of(DEFAULT_COLLECTION), MODEL.id, items)
    return ids


@asynccontextmanager
async def mapping(core: Core) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work()) for work in (core.maps.keep_mapping, core.words.keep_filled)]
        yield
        for each in running:
            each.cancel()


async def compute(core: Core, *, again: bool = False) -> list[MapProgress]:
    async with asyncio.timeout(60):
        return [progress async for progress in core.maps.compute(DEFAULT_COLLECTION, again=again)]


async def begun(core: Core) -> None:
    """Wait until the process computes."""
    async with asyncio.timeout(60):
        async for progress in core.maps.compute(DEFAULT_COLLECTION):
            if progress.stage is Stage.LAYOUT:
                return


@pytest.fixture
async def gallery(core: Core) -> Core:
    """Three groups of images of one colour each."""
    for color in GROUPS:
        await add(core, color, 0, EACH)
    return core


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in the test's process, with the principal places for both layouts."""

    async def compute(
        folder: Path, dimension: int, _threads: int, _memory_bytes: int
    ) -> AsyncGenerator[Share | Computed, None]:
        vectors = np.fromfile(folder / VECTORS, "<f4").reshape(-1, dimension)
        places = principal(vectors)
        for neighborly in (False, True)[: 1 + can_be_neighborly(len(vectors))]:
            yield Computed(neighborly, places, find_regions(vectors, places))
            yield Share("layout", 1.0)

    monkeypatch.setattr(gateway.maps.map_maker, "compute", compute)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process report some progress, and then never end by itself."""
    _process(monkeypatch, """print('{"stage": "layout", "fraction": 0.5}', flush=True); sys.stdin.read()""")


def _process(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    original = subprocess.Popen

    def start(_command: object, **options: Any) -> subprocess.Popen[bytes]:
        return original([sys.executable, "-c", f"import os, signal, sys; {code}"], **options)

    monkeypatch.setattr(computation.subprocess, "Popen", start)


@pytest.mark.usefixtures("quick")
async def test_a_map_keeps_groups_together_and_names_them(gallery: Core) -> None:
    async with mapping(gallery):
        steps = await compute(gallery)
        state = await gallery.maps.describe(DEFAULT_COLLECTION)
        stored = await gallery.maps.read(DEFAULT_COLLECTION)
    assert {step.stage for step in steps} >= {Stage.READING, Stage.LAYOUT}
    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
    assert state.header
    assert (state.header.neighborly, state.header.final, state.header.computed_count) == (True, True, 3 * EACH)
    assert (state.progress, state.failure) == (None, "")
    places = {color: stored.places[[each.startswith(color) for each in stored.ids]] for color in GROUPS}
    inside = max(float(np.ptp(each, axis=0).max()) for each in places.values())
    middles = np.array([each.mean(axis=0) for each in places.values()])
    between = min(float(np.linalg.norm(middles[a] - middles[b])) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert between > inside / 2
    first = [region.words[0] for region in state.header.regions]
    assert set(first) >= set(GROUPS)
    assert len(set(first)) == len(first), "no two regions have the same name"
    for region in state.header.regions:
        assert region.image_id in stored.ids


@pytest.mark.usefixtures("quick")
async def test_a_map_that_is_up_to_date_is_not_computed_unless_asked_for(gallery: Core) -> None:
    async with mapping(gallery):
        await compute(gallery)
        first = (await gallery.maps.describe(DEFAULT_COLLECTION)).header
        assert await compute(gallery) == []
        assert await compute(gallery, again=True)
        second = (await gallery.maps.describe(DEFAULT_COLLECTION)).header
    assert first
    assert second
    assert first.revision != second.revision


@pytest.mark.usefixtures("quick")
async def test_new_images_lie_beside_their_neighbours_and_deleted_ones_are_left_out(gallery: Core) -> None:
    async with mapping(gallery):
        await compute(gallery)
        before = await gallery.maps.read(DEFAULT_COLLECTION)
        (new,) = await add(gallery, "green", 500, 1)
        await gallery.index.delete_items(alias_of(DEFAULT_COLLECTION), ["red-000", "blue-001"])
        counted = (await gallery.maps.describe(DEFAULT_COLLECTION)).header
        after = await gallery.maps.read(DEFAULT_COLLECTION)
        assert await compute(gallery) == [], "few changed"
        await add(gallery, "blue", 600, 5)
        assert await compute(gallery), "many changed"
    assert counted
    assert (counted.added_count, counted.deleted_count) == (1, 2)
    assert (after.header.added_count, after.header.deleted_count) == (1, 2)
    assert after.header.revision == before.header.revision
    assert set(after.ids) == {*before.ids, new} - {"red-000", "blue-001"}
    places = dict(zip(after.ids, after.places.tolist(), strict=True))
    assert {each: places[each] for each in before.ids if each in places} == {
        each: place for each, place in zip(before.ids, before.places.tolist(), strict=True) if each in places
    }
    greens = np.array([place for each, place in places.items() if each.startswith("green") and each != new])
    assert (np.array(places[new]) >= greens.min(axis=0)).all()
    assert (np.array(places[new]) <= greens.max(axis=0)).all()


@pytest.mark.usefixtures("quick")
async def test_describing_a_map_reads_no_vectors(gallery: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map may be far behind: the vectors of all images that were added since would not fit into memory."""
    async with mapping(gallery):
        await compute(gallery)
        await add(gallery, "green", 500, 3)
        with monkeypatch.context() as patch:
            original = MemoryIndex.list_items

            async def without_vectors(self: MemoryIndex, name: str, **options: Any) -> Any:
                assert not options.get("vectors")
                return await original(self, name, **options)

            patch.setattr(MemoryIndex, "list_items", without_vectors)
            header = (await gallery.maps.describe(DEFAULT_COLLECTION)).header
    assert header
    assert header.added_count == 3


@pytest.mark.usefixtures("quick")
async def test_many_new_images_are_placed_page_by_page(gallery: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_PAGE", 4)
    async with mapping(gallery):
        await compute(gallery)
        before = await gallery.maps.read(DEFAULT_COLLECTION)
        new = await add(gallery, "green", 500, 10)
        await gallery.index.delete_items(alias_of(DEFAULT_COLLECTION), ["red-000", new[3]])
        after = await gallery.maps.read(DEFAULT_COLLECTION)
        assert (await gallery.maps.read(DEFAULT_COLLECTION)).header.added_count == 9, "nothing is added twice"
    assert set(after.ids) == {*before.ids, *new} - {"red-000", new[3]}
    assert (after.header.added_count, after.header.deleted_count) == (9, 1)
    assert len(after.places) == len(after.ids)


@pytest.mark.usefixtures("quick")
async def test_an_image_whose_neighbours_are_all_new_lies_in_the_most_similar_region(
    gallery: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def only_new(_self: MemoryIndex, _name: str, vectors: object, *_: object) -> list[list[str]]:
        return [["unknown"] for _ in vectors]  # type: ignore[attr-defined]

    async with mapping(gallery):
        await compute(gallery)
        (new,) = await add(gallery, "blue", 500, 1)
        monkeypatch.setattr(MemoryIndex, "search_many", only_new)
        stored = await gallery.maps.read(DEFAULT_COLLECTION)
    place = stored.places[list(stored.ids).index(new)]
    (region,) = (each for each in stored.header.regions if np.allclose((each.x, each.y), place))
    assert region.image_id.startswith("blue")


@pytest.mark.usefixtures("quick")
async def test_a_collection_of_few_images_or_none_has_a_map(core: Core) -> None:
    async with mapping(core):
        await compute(core)
        assert (await core.maps.read(DEFAULT_COLLECTION)).ids == []
        ids = await add(core, "red", 0, 2)
        await compute(core)
        state = await core.maps.describe(DEFAULT_COLLECTION)
        assert list((await core.maps.read(DEFAULT_COLLECTION)).ids) == ids
    assert state.header
    assert (state.header.neighborly, state.header.final) == (False, True)


async def test_without_a_map_there_is_none_to_read(core: Core) -> None:
    with pytest.raises(MapNotFound):
        await core.maps.read(DEFAULT_COLLECTION)
    assert (await core.maps.describe(DEFAULT_COLLECTION)).header is None
    with pytest.raises(CollectionNotFound):
        await core.maps.describe("none")


@pytest.mark.usefixtures("quick")
async def test_an_emptied_collection_has_no_map(gallery: Core) -> None:
    async with mapping(gallery):
        await compute(gallery)
        gallery.index.move(alias_of(DEFAULT_COLLECTION), NewIndex("images-gallery.empty", 4, MODEL.id, Engine.ANNOY))
        assert (await gallery.maps.describe(DEFAULT_COLLECTION)).header is None
        await compute(gallery)
        assert len(list(gallery.maps._files._folder.glob("*.npz"))) == 1, "the old one is removed"


@pytest.mark.usefixtures("quick")
async def test_two_callers_at_the_same_moment_share_one_computation(
    gallery: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _count_computations(monkeypatch)
    _answer_at_once(gallery, monkeypatch)
    async with mapping(gallery):
        first, second = await asyncio.gather(compute(gallery), compute(gallery))
    assert first
    assert second
    assert len(made) == 1


@pytest.mark.usefixtures("quick")
async def test_callers_at_the_same_moment_both_learn_that_the_request_was_not_stored(
    gallery: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer_at_once(gallery, monkeypatch)

    async def refuse(_name: str, _value: bytes) -> None:
        await asyncio.sleep(0)  # as a real call, it lets others go first
        raise DependencyUnavailable("index")

    async with mapping(gallery):
        with monkeypatch.context() as patch:
            patch.setattr(gallery.index.records, "write", refuse)
            outcomes = await asyncio.gather(compute(gallery), compute(gallery), return_exceptions=True)
        assert [type(each) for each in outcomes] == [DependencyUnavailable] * 2
        assert await compute(gallery), "the next request is a new one"


def _answer_at_once(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all callers learn in one turn of the loop that there is no map yet."""

    async def no_map(_collection: str) -> None:
        return None

    monkeypatch.setattr(core.maps, "_header", no_map)


def _count_computations(monkeypatch: pytest.MonkeyPatch) -> list[MapRun]:
    made: list[MapRun] = []
    original = MapMaker.make

    async def make(self: MapMaker, run: MapRun, info: IndexInfo) -> None:
        made.append(run)
        await original(self, run, info)

    monkeypatch.setattr(MapMaker, "make", make)
    return made


@pytest.mark.usefixtures("endless")
async def test_a_computation_can_be_cancelled(gallery: Core) -> None:
    async with mapping(gallery):
        await begun(gallery)
        assert await gallery.maps.cancel(DEFAULT_COLLECTION)
        with pytest.raises(MapCancelled):
            await _followed(gallery)
        assert not await gallery.maps.cancel(DEFAULT_COLLECTION)
        state = await gallery.maps.describe(DEFAULT_COLLECTION)
    assert (state.header, state.progress, state.failure) == (None, None, "")


async def _followed(core: Core) -> None:
    """Follow a new computation, and cancel it as another caller would."""
    async for progress in core.maps.compute(DEFAULT_COLLECTION):
        if progress.stage is Stage.LAYOUT:
            await core.maps.cancel(DEFAULT_COLLECTION)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL; the machine may lack memory"),
        ("sys.exit(3)", "more memory than the 4,096 MiB that it may use; raise SEMSEARCH_GATEWAY_MAP_MEMORY_BYTES"),
        ("sys.exit('no such thing')", "ended with status 1: no such thing"),
    ],
)
async def test_a_failure_is_reported_and_the_next_attempt_may_succeed(
    gallery: Core, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, code: str, sentence: str
) -> None:
    async with mapping(gallery):
        with monkeypatch.context() as patch:
            _process(patch, code)
            with pytest.raises(MapFailed, match=sentence):
                await compute(gallery)
        assert sentence in (await gallery.maps.describe(DEFAULT_COLLECTION)).failure
        assert not gallery.maps.health.is_well
        request.getfixturevalue("quick")
        await compute(gallery)
        assert (await gallery.maps.describe(DEFAULT_COLLECTION)).failure == ""
        assert gallery.maps.health.is_well


async def test_an_internal_error_ends_only_its_own_computation(
    gallery: Core, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    async with mapping(gallery):
        with monkeypatch.context() as patch:
            _process(patch, "print('no JSON')")
            with pytest.raises(MapFailed, match="an error inside semsearch"):
                await compute(gallery)
        request.getfixturevalue("quick")
        await compute(gallery)
        assert (await gallery.maps.describe(DEFAULT_COLLECTION)).failure == ""


@pytest.mark.usefixtures("quick")
async def test_a_computation_that_has_ended_cannot_be_cancelled(gallery: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    may_remove = asyncio.Event()
    removing = asyncio.Event()
    original = asyncio.to_thread

    async def to_thread(work: Any, *arguments: Any, **options: Any) -> Any:
        if work is shutil.rmtree:
            removing.set()
            await may_remove.wait()
        return await original(work, *arguments, **options)

    monkeypatch.setattr(gateway.maps.maps.asyncio, "to_thread", to_thread)
    async with mapping(gallery):
        computing = asyncio.create_task(compute(gallery))
        async with asyncio.timeout(60):
            await removing.wait()
        assert not await gallery.maps.cancel(DEFAULT_COLLECTION)
        may_remove.set()
        assert await computing, "no MapCancelled"


async def test_memory_is_bounded(gallery: Core, tmp_path: Path) -> None:
    requests = MapRequests(gallery.index.records, tmp_path)
    maps = Maps(
        gallery.index, gallery.words, requests, MapFiles(tmp_path / "small"), MapLimits(memory_bytes=48 * 2**20)
    )
    task = asyncio.create_task(maps.keep_mapping())
    with pytest.raises(MapFailed):
        async with asyncio.timeout(60):
            _ = [progress async for progress in maps.compute(DEFAULT_COLLECTION)]
    task.cancel()


async def test_a_restart_begins_the_computation_again(
    gallery: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with monkeypatch.context() as patch:
        _process(patch, """print('{"stage": "layout", "fraction": 0.5}', flush=True); sys.stdin.read()""")
        async with mapping(gallery):
            await begun(gallery)
    request.getfixturevalue("quick")
    again = await open_core(tmp_path / "images", embedder=gallery.embedder, index=gallery.index)
    async with mapping(again):
        await until(lambda: bool(again.maps._runs))
        await compute(again)
        state = await again.maps.describe(DEFAULT_COLLECTION)
    assert state.header
    assert state.header.final


@pytest.mark.usefixtures("quick")
async def test_a_map_of_another_machine_is_computed_again_when_it_is_asked_for(gallery: Core, tmp_path: Path) -> None:
    async with mapping(gallery):
        await compute(gallery)
    elsewhere = await open_core(tmp_path / "elsewhere" / "images", embedder=gallery.embedder, index=gallery.index)
    async with mapping(elsewhere):
        await until(lambda: elsewhere.maps._known is not None)
        state = await elsewhere.maps.describe(DEFAULT_COLLECTION)
        assert (state.header, state.progress is not None) == (None, True)
        await compute(elsewhere)
        assert (await elsewhere.maps.describe(DEFAULT_COLLECTION)).header
        gallery.index.move(alias_of(DEFAULT_COLLECTION), NewIndex("images-gallery.empty", 4, MODEL.id, Engine.ANNOY))
        state = await elsewhere.maps.describe(DEFAULT_COLLECTION)
        assert (state.header, state.progress) == (None, None), "it never had a map"


@pytest.mark.usefixtures("quick")
async def test_a_damaged_file_is_as_good_as_no_map(gallery: Core) -> None:
    async with mapping(gallery):
        await compute(gallery)
        (file,) = gallery.maps._files._folder.glob("*.npz")
        file.write_bytes(file.read_bytes()[:-100])
        assert (await gallery.maps.describe(DEFAULT_COLLECTION)).header is None
        await compute(gallery)
        assert (await gallery.maps.describe(DEFAULT_COLLECTION)).header
