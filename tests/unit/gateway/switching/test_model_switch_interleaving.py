"""Writes at any moment of a switch end with exactly the images of a dictionary, all with the new model."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.backends.embedding import TextQuery
from gateway.collections.gallery import AttributesChange
from gateway.errors import CollectionExists, CollectionNotFound, ImageNotFound
from gateway.search.search import Page, Scope
from gateway.switching.collection_switch import CollectionSwitch
from gateway.switching.index_copy import CopyLimits
from gateway.switching.model_switch import ModelSwitch
from gateway.switching.switch_state import SwitchState
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, picture, sha256
from tests.unit.gateway.switching.faulty import Turnstile

PICTURES = {name: picture(name) for name in ("red", "green", "blue", "yellow")}
BY_SHA = {sha256(content): name for name, content in PICTURES.items()}
COLLECTIONS = ["gallery", "other"]

IDS = st.sampled_from(["r", "g", "b", "y", "new"])
COLLECTION = st.sampled_from(COLLECTIONS)
WRITES = st.one_of(
    st.tuples(st.just("add"), COLLECTION, IDS, st.sampled_from(list(PICTURES)), st.integers(0, 3)),
    st.tuples(st.just("delete"), COLLECTION, IDS),
    st.tuples(st.just("update"), COLLECTION, IDS, st.integers(4, 7)),
)
OTHERS = st.one_of(
    st.tuples(st.just("search"), COLLECTION),
    st.tuples(st.just("drop"), COLLECTION),
    st.tuples(st.just("create"), COLLECTION),
)
# How many calls the switch makes before each step; it makes about 30 for a collection of four images.
STEPS = st.lists(st.tuples(st.integers(0, 12), st.one_of(WRITES, WRITES, WRITES, OTHERS)), min_size=1, max_size=15)
BEFORE = [
    ("create", "other"),
    *(("add", collection, name[0], name, 0) for collection in COLLECTIONS for name in PICTURES),
]


@dataclass
class Oracle:
    """The expected content: colour and number by id, by collection."""

    collections: dict[str, dict[str, tuple[str, float]]] = field(default_factory=lambda: {"gallery": {}})

    def add(self, collection: str, image_id: str, color: str, number: int) -> None:
        images = self.collections.get(collection)
        if images is None:
            return
        holders = [each for each, (held, _) in images.items() if held == color]
        if image_id in holders or not holders:
            images[image_id] = (color, float(number))


class Trial:
    """A core whose switch makes only released calls."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.oracle = Oracle()
        self.turnstile = Turnstile()
        switch = CollectionSwitch(
            BulkEmbedding(self.turnstile.wrap(core.embedder)),
            self.turnstile.wrap(core.index),
            core.blobs,
            core.placements,
            core.writes,
            CopyLimits(page_images=2, batch_images=1),
        )
        self.switch = ModelSwitch(
            core.embedder, core.collections, core.orphans, core.words, switch, SwitchState(core.index.records)
        )
        self.background: asyncio.Task[None]
        self.watching: asyncio.Task[None]

    def begin(self) -> None:
        """Start the switch, which stops at the turnstile."""
        self.background = asyncio.create_task(self.switch.keep_switching())
        self.watching = asyncio.create_task(self._watch())

    async def end(self) -> None:
        """Let the switch finish."""
        self.turnstile.open()
        async with asyncio.timeout(10):
            await self.watching
        self.background.cancel()
        await asyncio.gather(self.background, return_exceptions=True)

    async def _watch(self) -> None:
        async for _ in self.switch.activate(OTHER_MODEL.id):
            pass

    async def take(self, name: str, *arguments: Any) -> None:
        """Take a step; if it waits for the switch, let the switch continue until the step is done."""
        task = asyncio.create_task(getattr(self, f"_{name}")(*arguments))
        while not task.done():
            await asyncio.wait({task}, timeout=0.01)
            if not task.done():
                await self.let_switch(1)
        await task

    async def let_switch(self, calls: int) -> None:
        """Let the switch make up to this many calls, one at a time."""
        async with asyncio.timeout(5):
            for _ in range(calls):
                while not self.turnstile.waiting and not self.watching.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.0002)
                if self.watching.done():
                    return
                self.turnstile.release()
                await asyncio.sleep(0)

    async def _add(self, collection: str, image_id: str, color: str, number: int) -> None:
        await self._or_none(
            self.core.add(upload(1, PICTURES[color], image_id, {"n": float(number)}), collection=collection)
        )
        self.oracle.add(collection, image_id, color, number)

    async def _delete(self, collection: str, image_id: str) -> None:
        await self._or_none(self.core.gallery.delete(collection, [image_id]))
        self.oracle.collections.get(collection, {}).pop(image_id, None)

    async def _update(self, collection: str, image_id: str, number: int) -> None:
        images = self.oracle.collections.get(collection, {})
        change = self.core.gallery.update(collection, image_id, {"n": float(number)}, AttributesChange())
        if await self._or_none(change) is not None:
            images[image_id] = (images[image_id][0], float(number))

    async def _search(self, collection: str) -> None:
        """Check that a search finds everything, nearest first, at any moment."""
        scope = Scope(collection, min_relevance=0.0)
        found = await self._or_none(self.core.search.by_text(TextQuery("red"), scope, Page(20)))
        images = self.oracle.collections.get(collection)
        assert (found is None) == (images is None)
        if found is not None and images is not None:
            assert sorted(match.image.id for match in found.matches) == sorted(images)
            reds = sum(color == "red" for color, _ in images.values())
            assert all(images[match.image.id][0] == "red" for match in found.matches[:reds])

    async def _drop(self, collection: str) -> None:
        await self._or_none(self.core.collections.delete(collection))
        if collection == "gallery":
            self.oracle.collections["gallery"] = {}
        else:
            self.oracle.collections.pop(collection, None)

    async def _create(self, collection: str) -> None:
        await self._or_none(self.core.collections.create(collection, ""))
        self.oracle.collections.setdefault(collection, {})

    @staticmethod
    async def _or_none(call: Coroutine[Any, Any, Any]) -> Any:
        """Ignore errors that the oracle expects too: an unknown image, or an unknown or existing collection."""
        try:
            return await call
        except (CollectionNotFound, CollectionExists, ImageNotFound):
            return None

    async def check(self) -> None:
        index = self.core.index
        assert {each.id for each in await self.core.collections.list_all()} == set(self.oracle.collections)
        for collection, images in self.oracle.collections.items():
            found, _ = await self.core.gallery.list_page(collection, 100, "", None)
            assert {each.id: (BY_SHA[each.sha256], each.attributes["n"]) for each in found} == images
            assert [each.create_time for each in found] == sorted(each.create_time for each in found)
            stored = index.indexes[index.aliases[f"images-{collection}"]]
            assert stored.definition.model_id == OTHER_MODEL.id
            for image_id, (color, _) in images.items():
                expected = self.core.embedder.vector(COLORS[color], OTHER_MODEL.id)
                assert stored.items[image_id].vector == pytest.approx(expected, abs=0.05)
        assert set(index.indexes) == {*index.aliases.values()}, "nothing is left behind"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Use one folder of files for all trials, because rewriting them is slow and they are named by content."""
    return tmp_path_factory.mktemp("files")


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_writes_at_any_moment_of_a_switch_are_kept(files: Path, steps: Sequence[tuple[int, Any]]) -> None:
    async def run() -> None:
        core = await open_core(files / "images")
        await core.words.fill(MODEL)
        trial = Trial(core)
        for name, *arguments in BEFORE:
            await getattr(trial, f"_{name}")(*arguments)
        trial.begin()
        for calls, step in steps:
            await trial.let_switch(calls)
            await trial.take(*step)
        await trial.end()
        await trial.check()

    asyncio.run(run())
