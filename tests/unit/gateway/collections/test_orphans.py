"""Which indexes without an alias are removed, and when."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.backends.refusals import Refused
from gateway.backends.vector_index import Engine, NewIndex
from gateway.collections.orphans import ORPHAN_SECONDS
from tests.unit.gateway.core import Core, open_core
from tests.unit.gateway.doubles import MODEL, refusal
from tests.unit.gateway.switching.switches import activate, switching


async def create(core: Core, *collections: str) -> Sequence[str]:
    """Create collections; return the names of their indexes."""
    for each in collections:
        await core.collections.create(each, "")
    return [core.index.aliases[f"images-{each}"] for each in collections]


async def test_an_index_is_removed_once_it_was_without_an_alias_for_an_hour(core: Core) -> None:
    [orphan] = await create(core, "a")
    await core.index.delete_alias("images-a")
    await core.index.create(NewIndex("words-of-someone", MODEL.dimension, MODEL.id, Engine.ANNOY))
    for now in (5.0, 4.0 + ORPHAN_SECONDS):
        await core.orphans.sweep(now)
        assert orphan in core.index.indexes, "another process may be between its two steps"
    await core.orphans.sweep(5.0 + ORPHAN_SECONDS)
    assert orphan not in core.index.indexes
    assert "words-of-someone" in core.index.indexes, "not ours"
    assert (await core.collections.get("gallery")).id == "gallery"


async def test_an_old_index_whose_alias_has_just_been_moved_survives_a_restart(core: Core) -> None:
    """As after an index was exported, and its collection's alias pointed at the import."""
    [old] = await create(core, "a")
    for index in core.index.indexes.values():
        index.create_time = index.create_time.replace(year=2020)
    await core.index.create(NewIndex("a-on-the-cluster", MODEL.dimension, MODEL.id, Engine.ANNOY))
    await core.index.set_alias("images-a", "a-on-the-cluster")
    await core.orphans.sweep(ORPHAN_SECONDS)
    restarted = await open_core(core.blobs._root, embedder=core.embedder, index=core.index)
    await restarted.orphans.sweep(2 * ORPHAN_SECONDS)
    assert old in core.index.indexes


async def test_the_hour_begins_anew_when_an_alias_named_the_index_in_between(core: Core) -> None:
    [name] = await create(core, "a")
    await core.index.delete_alias("images-a")
    await core.orphans.sweep(0.0)
    await core.index.set_alias("images-a", name)
    await core.orphans.sweep(ORPHAN_SECONDS - 1.0)
    await core.index.delete_alias("images-a")
    await core.orphans.sweep(ORPHAN_SECONDS)
    assert name in core.index.indexes


async def test_nothing_is_removed_while_most_indexes_have_no_alias(core: Core) -> None:
    names = await create(core, "a", "b", "c")
    core.index.aliases.clear()
    await core.index.set_alias("images-a", names[0])
    for turn in range(3):
        await core.orphans.sweep(turn * ORPHAN_SECONDS)
    assert set(names) <= set(core.index.indexes)
    await core.index.set_alias("images-b", names[1])
    await core.orphans.sweep(4 * ORPHAN_SECONDS)
    assert names[2] in core.index.indexes, "there is an hour from now on to set the others"


async def test_a_collection_that_loses_its_alias_survives_a_switch(core: Core) -> None:
    """Its index still has the label of the switch that filled it."""
    await create(core, "a")
    async with switching(core):
        await activate(core)
        name = await core.index.delete_alias("images-a")
        await core.index.delete_alias("images-gallery")
        await core.collections.ensure_default()
        await activate(core, MODEL.id)
    assert name in core.index.indexes


async def test_what_an_interrupted_switch_left_is_removed_when_none_is_running(core: Core) -> None:
    labels = {"collection": "gallery", "switch": "a-model-that-is-gone"}
    await core.index.create(
        NewIndex("images-gallery.other.1", MODEL.dimension, MODEL.id, Engine.ANNOY, labels=labels),
    )
    for now in (0.0, ORPHAN_SECONDS):
        await core.orphans.sweep(now)
    assert "images-gallery.other.1" not in core.index.indexes


async def test_a_refused_removal_does_not_keep_other_indexes(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = await create(core, "a", "b", "c", "d")
    for alias in ("images-a", "images-b"):
        await core.index.delete_alias(alias)
    delete = core.index.delete

    async def refuse_first(name: str) -> int:
        if name == first:
            raise Refused(refusal("INDEX_IN_USE", "An alias names it."))
        return await delete(name)

    monkeypatch.setattr(core.index, "delete", refuse_first)
    for now in (0.0, ORPHAN_SECONDS):
        await core.orphans.sweep(now)
    assert first in core.index.indexes
    assert second not in core.index.indexes
