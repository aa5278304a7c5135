"""The sweeper removes no file of an image that some index still names, whatever that index is called now."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gateway.backends.vector_index import IndexInfo
from gateway.collections.blobs import Rendition
from gateway.errors import BlobMissing
from tests.unit.gateway.core import Core, upload
from tests.unit.gateway.doubles import picture, sha256

FAR_FUTURE = 4_000_000_000.0
RED = picture("red")


async def release_shared(core: Core) -> None:
    """Store an image in two collections, and delete it from one of them."""
    for collection in ("a", "x"):
        await core.collections.create(collection, "")
        await core.add(upload(1, RED, "red"), collection=collection)
    await core.gallery.delete("x", ["red"])
    _age(core)


def _age(core: Core) -> None:
    for folder in core.blobs._root.glob("??/*"):
        os.utime(folder, (1000, 1000))


def after_listing(core: Core, monkeypatch: pytest.MonkeyPatch, change: Callable[[], Awaitable[object]]) -> None:
    """Let something change right after the sweeper has listed the indexes."""
    list_all = core.index.list_all

    async def listed() -> Sequence[IndexInfo]:
        found = await list_all()
        monkeypatch.setattr(core.index, "list_all", list_all)
        await change()
        return found

    monkeypatch.setattr(core.index, "list_all", listed)


async def is_kept(core: Core) -> bool:
    try:
        return await core.blobs.read(sha256(RED), Rendition.ORIGINAL) == RED
    except BlobMissing:
        return False


async def test_a_file_of_a_collection_that_is_renamed_during_a_sweep_is_kept(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    await release_shared(core)
    after_listing(core, monkeypatch, lambda: core.collections.rename("a", "b"))
    assert await core.sweeper.sweep(FAR_FUTURE) == 0
    assert await core.gallery.pixels("b", "red") == RED


async def test_a_file_of_a_collection_whose_index_is_replaced_during_a_sweep_is_kept(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    await release_shared(core)

    async def replace() -> None:
        new = core.index.indexes[core.index.aliases["images-a"]]
        core.index.indexes["images-a.new"] = new
        del core.index.indexes[core.index.aliases["images-a"]]
        core.index.aliases["images-a"] = "images-a.new"

    after_listing(core, monkeypatch, replace)
    assert await core.sweeper.sweep(FAR_FUTURE) == 0
    assert await is_kept(core)


@pytest.mark.parametrize("lost", [["images-a"], ["images-a", "images-x", "images-gallery"]], ids=["one", "all"])
async def test_a_file_that_only_an_index_without_an_alias_names_is_kept(core: Core, lost: list[str]) -> None:
    await release_shared(core)
    for alias in lost:
        await core.index.delete_alias(alias)
    assert await core.sweeper.sweep(FAR_FUTURE) == 0
    assert await is_kept(core)


async def test_a_file_is_removed_once_the_last_index_that_names_it_is_gone(core: Core) -> None:
    """As after a crash between the two steps of a collection's deletion."""
    await release_shared(core)
    name = await core.index.delete_alias("images-a")
    assert await core.sweeper.sweep(FAR_FUTURE) == 0
    await core.index.delete(name)
    assert await core.sweeper.sweep(FAR_FUTURE) == 1
    assert not await is_kept(core)


async def test_an_index_without_collections_removes_no_file(core: Core) -> None:
    """As with a wrong address of the index."""
    await release_shared(core)
    core.index.indexes.clear()
    core.index.aliases.clear()
    assert await core.sweeper.sweep(FAR_FUTURE) == 0
    assert await is_kept(core)
