from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.backends.vector_index import Engine, NewIndex
from gateway.collections.names import require_collection_id
from gateway.errors import CollectionExists, CollectionNotFound, InvalidId
from tests.unit.gateway.core import Core, upload
from tests.unit.gateway.doubles import MODEL, picture


@pytest.mark.parametrize("good", ["a", "my-photos", "a1", "x" * 63])
def test_valid_ids_are_accepted(good: str) -> None:
    assert require_collection_id(good, "collection") == good


@pytest.mark.parametrize("bad", ["", "A", "1a", "-a", "a_b", "a.b", "a/b", "a\n", "x" * 64, "x" * 10_000, "é"])
def test_invalid_ids_are_refused(bad: str) -> None:
    with pytest.raises(InvalidId) as caught:
        require_collection_id(bad, "collection")
    assert len(str(caught.value)) < 300


async def test_a_collection_is_described_as_it_was_created(core: Core) -> None:
    created = await core.collections.create("holidays", "Holidays 2026")
    assert (created.id, created.display_name, created.image_count) == ("holidays", "Holidays 2026", 0)
    assert created.model_id == MODEL.id
    assert await core.collections.get("holidays") == created
    assert await core.collections.measure("holidays") == replace(created, image_bytes=0)
    assert [each.id for each in await core.collections.list_all()] == ["gallery", "holidays"]


async def test_a_collection_is_created_once(core: Core) -> None:
    await core.collections.create("a", "first")
    with pytest.raises(CollectionExists):
        await core.collections.create("a", "second")
    assert (await core.collections.get("a")).display_name == "first"
    await core.collections.ensure_default()
    assert len(core.index.indexes) == 2


async def test_a_collection_created_by_two_processes_is_kept(core: Core) -> None:
    async def other_was_first(alias: str, name: str) -> str:
        core.index.set_alias = set_alias  # type: ignore[method-assign]
        await core.index.create(NewIndex("images-a.others", MODEL.dimension, MODEL.id, Engine.ANNOY))
        await set_alias(alias, "images-a.others")
        return await set_alias(alias, name)

    set_alias = core.index.set_alias
    core.index.set_alias = other_was_first  # type: ignore[method-assign]
    with pytest.raises(CollectionExists):
        await core.collections.create("a", "")
    assert core.index.aliases["images-a"] == "images-a.others"
    assert [name for name in core.index.indexes if name.startswith("images-a.")] == ["images-a.others"]


async def test_deleting_a_collection_deletes_its_images_and_index(core: Core) -> None:
    await core.collections.create("a", "")
    await core.add(upload(1, picture("red")), upload(2, picture("blue")), collection="a")
    assert await core.collections.delete("a") == 2
    with pytest.raises(CollectionNotFound):
        await core.collections.get("a")
    assert all(name.startswith("images-gallery.") for name in core.index.indexes)


async def test_deleting_the_default_collection_keeps_its_definition(core: Core) -> None:
    await core.add(upload(1, picture("red")))
    before = await core.collections.get("gallery")
    assert await core.collections.delete("gallery") == 1
    after = await core.collections.get("gallery")
    assert (after.image_count, after.display_name, after.create_time) == (0, before.display_name, before.create_time)
    [result] = await core.add(upload(1, picture("red")))
    assert result.duplicate_of == ""


async def test_a_renamed_collection_has_its_images_under_the_new_id_alone(core: Core) -> None:
    await core.collections.create("a", "")
    await core.add(upload(1, picture("red"), "red"), collection="a")
    assert (await core.gallery.get("a", "red")).id == "red"
    renamed = await core.collections.rename("a", "b")
    assert (renamed.id, renamed.display_name, renamed.image_count) == ("b", "b", 1)
    assert [each.id for each in await core.collections.list_all()] == ["b", "gallery"]
    assert (await core.gallery.get("b", "red")).collection == "b"
    with pytest.raises(CollectionNotFound):
        await core.gallery.get("a", "red")
    assert (await core.add(upload(1, picture("red"), "red"), collection="b"))[0].error is None
    await core.collections.create("a", "Chosen")
    assert (await core.collections.rename("a", "c")).display_name == "Chosen"


async def test_a_rename_takes_no_id_that_is_taken_and_finishes_one_that_broke_off(core: Core) -> None:
    await core.collections.create("a", "")
    await core.collections.create("b", "")
    for new in ("a", "b"):
        with pytest.raises(CollectionExists):
            await core.collections.rename("a", new)
    with pytest.raises(CollectionNotFound):
        await core.collections.rename("nowhere", "c")
    await core.index.set_alias("images-c", core.index.aliases["images-a"])
    assert (await core.collections.rename("a", "c")).id == "c"
    assert [each.id for each in await core.collections.list_all()] == ["b", "c", "gallery"]
