"""Calls that the index applied but did not answer, as when it restarts, and that gRPC repeated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.errors import CollectionExists, CollectionNotFound
from tests.unit.gateway.core import Core, upload
from tests.unit.gateway.doubles import picture


@pytest.fixture
async def core(core: Core, monkeypatch: pytest.MonkeyPatch) -> Core:
    """Return a core whose index gets each change of indexes and aliases twice; only the second is answered."""

    def twice(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def calls(*arguments: Any) -> Any:
            await call(*arguments)
            return await call(*arguments)

        return calls

    for name in ("create", "delete", "set_alias", "delete_alias"):
        monkeypatch.setattr(core.index, name, twice(getattr(core.index, name)))
    return core


async def test_a_collection_is_created(core: Core) -> None:
    assert (await core.collections.create("a", "A")).display_name == "A"
    assert (await core.collections.get("a")).image_count == 0
    with pytest.raises(CollectionExists):
        await core.collections.create("a", "")
    assert set(core.index.indexes) == set(core.index.aliases.values())


async def test_a_collection_is_renamed(core: Core) -> None:
    await core.collections.create("a", "")
    assert (await core.collections.rename("a", "b")).id == "b"
    assert [each.id for each in await core.collections.list_all()] == ["b", "gallery"]


@pytest.mark.parametrize("collection", ["a", "gallery"])
async def test_a_collection_is_deleted(core: Core, collection: str) -> None:
    if collection != "gallery":
        await core.collections.create(collection, "")
    await core.add(upload(1, picture("red"), "red"), collection=collection)
    assert await core.collections.delete(collection) == 1
    assert set(core.index.indexes) == set(core.index.aliases.values())
    assert [(each.id, each.image_count) for each in await core.collections.list_all()] == [("gallery", 0)]


async def test_what_never_existed_is_still_not_found(core: Core) -> None:
    for change in (core.collections.delete("nowhere"), core.collections.rename("nowhere", "b")):
        with pytest.raises(CollectionNotFound):
            await change
