"""A switch in the background, and the conditions during and after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.backends.attributes import from_text
from gateway.backends.embedding import TextQuery
from gateway.search.query_vectors import ImageSource
from gateway.search.search import Page, Scope
from gateway.switching.switch_run import SwitchProgress
from gateway.switching.switch_state import RECORD
from tests.unit.gateway.core import Core, until
from tests.unit.gateway.doubles import COLORS, OTHER_MODEL, picture, sha256

NAMES = ["red", "green", "blue", "yellow", "purple", "orange", "crimson"]


@asynccontextmanager
async def switching(core: Core) -> AsyncIterator[None]:
    task = asyncio.create_task(core.switch.keep_switching())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def activate(core: Core, name: str = OTHER_MODEL.id) -> list[SwitchProgress]:
    async with asyncio.timeout(10):
        return [progress async for progress in core.switch.activate(name)]


def target(core: Core) -> bytes:
    """Return the id of the model that is being switched to, as it is recorded."""
    return core.index.records.values.get(RECORD, b"")


async def settled(core: Core) -> None:
    """Wait until no switch is running."""
    await until(lambda: not target(core))


async def images(core: Core, collection: str = "gallery") -> dict[str, tuple[str, object]]:
    """Return the images of a collection as callers see them, in order."""
    found, _ = await core.gallery.list_page(collection, 1000, "", None)
    return {image.id: (image.sha256, image.attributes.get("n")) for image in found}


def vectors_are_of(core: Core, collection: str, model_id: str) -> bool:
    index = core.index.indexes[core.index.aliases[f"images-{collection}"]]
    expected = {sha256(picture(name)): core.embedder.vector(COLORS[name], model_id) for name in NAMES}
    return index.definition.model_id == model_id and all(
        item.vector == pytest.approx(expected[from_text(item.attributes)["image"]["sha256"]], abs=0.05)  # type: ignore[index, call-overload]
        for item in index.items.values()
    )


def is_switched(core: Core, *collections: str) -> None:
    """Check that everything uses the new model, and nothing else is left."""
    assert core.embedder.model.id == OTHER_MODEL.id
    aliases = {f"images-{each}" for each in collections}
    assert set(core.index.aliases) == {*aliases, "words", "words.ba9876543210"}
    assert set(core.index.indexes) == {*(core.index.aliases[each] for each in aliases), "words-ba9876543210"}
    assert core.index.aliases["words"] == core.index.aliases["words.ba9876543210"] == "words-ba9876543210"
    for each in collections:
        assert vectors_are_of(core, each, OTHER_MODEL.id)
    assert not target(core)


async def answers_rightly(core: Core) -> None:
    """Check that searches and tags give the right results, whatever the models of the collections."""
    found = await core.search.by_text(TextQuery("red"), Scope("gallery"), Page(20))
    assert found.matches[0].image.id == "red"
    found = await core.search.by_images([ImageSource(image_id="yellow")], TextQuery(), Scope("gallery"), Page(20))
    assert found.matches[0].image.id == "orange"
    for source in (ImageSource(image_id="red"), ImageSource(content=picture("red"))):
        tags = await core.tagging.tag(source, "gallery", 1, None)
        assert [tag.word for tag in tags.tags] == ["red"]
    similar = await core.search.similar_words(TextQuery("red"), Page(1))
    assert [word.word for word in similar.words] == ["crimson"]
