"""The owner notices that an alias has moved, whenever it looked it up and however the move ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.errors import CollectionNotFound, DependencyUnavailable
from tests.unit.gateway.core import Core, upload
from tests.unit.gateway.doubles import picture


@pytest.fixture
async def red(core: Core) -> Core:
    """Return a core with a collection `a` that has an image."""
    await core.collections.create("a", "")
    await core.add(upload(1, picture("red"), "red"), collection="a")
    core.placements.forget("a")
    return core


async def is_under_its_new_id_alone(core: Core) -> None:
    for _ in range(2):
        with pytest.raises(CollectionNotFound):
            await core.gallery.get("a", "red")
        assert (await core.gallery.get("b", "red")).id == "red"


class Held:
    """A method of the index whose calls for a name are held: before their effect, or after it."""

    def __init__(self, core: Core, method: str, name: str, *, after: bool) -> None:
        self.reached, self.may_go_on = asyncio.Event(), asyncio.Event()
        self._call: Callable[..., Awaitable[Any]] = getattr(core.index, method)
        self._name = name
        self._after = after
        setattr(core.index, method, self)

    async def __call__(self, name: str, *arguments: str) -> Any:
        if name != self._name:
            return await self._call(name, *arguments)
        answer = await self._call(name, *arguments) if self._after else None
        self.reached.set()
        await self.may_go_on.wait()
        return answer if self._after else await self._call(name, *arguments)


async def test_a_lookup_that_is_answered_after_the_move_is_not_remembered(red: Core) -> None:
    held = Held(red, "get", "images-a", after=True)
    reading = asyncio.create_task(red.gallery.get("a", "red"))
    async with asyncio.timeout(5):
        await held.reached.wait()
        del red.index.get
        await red.collections.rename("a", "b")
        held.may_go_on.set()
        await reading  # it began before the move
    await is_under_its_new_id_alone(red)


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_cancelled_rename_leaves_no_stale_placement(red: Core, after: bool) -> None:
    """Its last call to the index takes effect all the same, just before it is cancelled or later."""
    held = Held(red, "delete_alias", "images-a", after=after)
    await red.gallery.get("a", "red")
    renaming = asyncio.create_task(red.collections.rename("a", "b"))
    async with asyncio.timeout(5):
        await held.reached.wait()
        renaming.cancel()
        await asyncio.wait([renaming])
    assert renaming.cancelled()
    del red.index.delete_alias
    if not after:
        await red.gallery.get("a", "red")
        await red.index.delete_alias("images-a")
    await is_under_its_new_id_alone(red)


async def test_a_deletion_without_an_answer_leaves_no_stale_placement(red: Core) -> None:
    delete_alias = red.index.delete_alias

    async def unanswered(alias: str) -> str:
        await delete_alias(alias)
        raise DependencyUnavailable("index")

    red.index.delete_alias = unanswered  # type: ignore[method-assign]
    await red.gallery.get("a", "red")
    with pytest.raises(DependencyUnavailable):
        await red.collections.delete("a")
    with pytest.raises(CollectionNotFound):
        await red.gallery.get("a", "red")


async def test_a_renamed_collection_is_looked_up_once(red: Core) -> None:
    await red.collections.rename("a", "b")
    await red.gallery.get("b", "red")
    looked_up = red.index.descriptions
    await red.gallery.get("b", "red")
    assert red.index.descriptions == looked_up


async def test_lookups_at_the_same_time_are_remembered(red: Core) -> None:
    held = Held(red, "get", "images-a", after=True)
    reads = [asyncio.create_task(red.gallery.get("a", "red")) for _ in range(3)]
    async with asyncio.timeout(5):
        await held.reached.wait()
        held.may_go_on.set()
        await asyncio.gather(*reads)
    del red.index.get
    looked_up = red.index.descriptions
    await red.gallery.get("a", "red")
    assert red.index.descriptions == looked_up
