from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from semsearch.v1.query_pb2 import Filter

from gateway.backends.filters import in_store
from gateway.backends.vector_index import Item
from gateway.collections.blobs import Rendition
from gateway.collections.gallery import AttributesChange
from gateway.collections.images import require_image_id
from gateway.errors import BlobMissing, ImageNotFound, InvalidId
from tests.unit.gateway.core import Core, upload
from tests.unit.gateway.doubles import picture, sha256

RED, BLUE = picture("red"), picture("blue")
FAR_FUTURE = 2.0**40


@pytest.mark.parametrize("good", ["a", "IMG_0001.jpg", "a b", "日本語", "x" * 200, "…"])
def test_valid_ids_are_accepted(good: str) -> None:
    assert require_image_id(good, "id") == good


@pytest.mark.parametrize(
    "bad", ["", "a/b", "a\\b", "a\nb", "\x00", "\x7f", " a", "a ", "x" * 201, "x" * 10_000, "日" * 171]
)
def test_invalid_ids_are_refused(bad: str) -> None:
    with pytest.raises(InvalidId) as caught:
        require_image_id(bad, "image.id")
    assert caught.value.field == "image.id"
    assert len(str(caught.value)) < 300, "the message does not repeat ten thousand characters"


@given(st.text(max_size=250))
def test_the_index_accepts_every_valid_id(text: str) -> None:
    try:
        require_image_id(text, "id")
    except InvalidId:
        return
    assert 1 <= len(text.encode()) <= 512
    assert "/" not in text
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text)


def test_a_filter_field_refers_to_the_callers_attributes() -> None:
    own = ParseDict(
        {
            "must": [{"field": "album", "equals": "a"}, {"field": "image.width", "range": {"gte": 100}}],
            "should": [{"field": "image.model", "exists": True}, {"field": "images", "any_of": ["x"]}],
            "must_not": [
                {"nested": {"must": [{"field": "image.sha256", "equals": "00"}, {"field": "x.y", "equals": 1}]}}
            ],
        },
        Filter(),
    )
    stored = in_store(own)
    assert [each.field for each in stored.must] == ["user.album", "image.width"]
    assert [each.field for each in stored.should] == ["user.image.model", "user.images"]
    assert [each.field for each in stored.must_not[0].nested.must] == ["image.sha256", "user.x.y"]
    assert own.must[0].field == "album", "the caller's own is left as it was"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), {"new": 1.0, "a": 2.0, "deep": {"x": 3.0}}),
        ((("a",),), {"a": 2.0, "b": 0.0, "deep": {"x": 0.0, "y": 0.0}}),
        ((("b",),), {"a": 0.0, "deep": {"x": 0.0, "y": 0.0}}),
        ((("new",), ("b",)), {"a": 0.0, "new": 1.0, "deep": {"x": 0.0, "y": 0.0}}),
        ((("deep", "x"),), {"a": 0.0, "b": 0.0, "deep": {"x": 3.0, "y": 0.0}}),
        ((("deep", "y"),), {"a": 0.0, "b": 0.0, "deep": {"x": 0.0}}),
        ((("other", "z"),), {"a": 0.0, "b": 0.0, "deep": {"x": 0.0, "y": 0.0}}),
    ],
)
def test_only_attributes_in_the_mask_change(paths: tuple[tuple[str, ...], ...], expected: object) -> None:
    old = {"a": 0.0, "b": 0.0, "deep": {"x": 0.0, "y": 0.0}}
    new = {"new": 1.0, "a": 2.0, "deep": {"x": 3.0}}
    assert AttributesChange(paths).apply(old, new) == expected
    assert old == {"a": 0.0, "b": 0.0, "deep": {"x": 0.0, "y": 0.0}}, "what is stored is not changed in place"


async def test_concurrent_changes_of_two_attributes_both_apply(core: Core) -> None:
    await core.add(upload(1, RED, "a", {"x": 0.0, "y": 0.0}))
    await asyncio.gather(
        core.gallery.update("gallery", "a", {"x": 1.0}, AttributesChange((("x",),))),
        core.gallery.update("gallery", "a", {"y": 2.0}, AttributesChange((("y",),))),
    )
    image = await core.gallery.get("gallery", "a")
    assert image.attributes == {"x": 1.0, "y": 2.0}
    assert image.sha256 == sha256(RED)


async def test_changes_of_different_images_do_not_wait(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.add(upload(1, RED, "a", {"x": 0.0}), upload(2, BLUE, "b", {"x": 0.0}))
    waits, may_go_on, read = asyncio.Event(), asyncio.Event(), core.index.get_items

    async def get_items(name: str, ids: Sequence[str], *, vectors: bool = False) -> Sequence[Item]:
        if list(ids) == ["a"]:
            waits.set()
            await may_go_on.wait()
        return await read(name, ids, vectors=vectors)

    monkeypatch.setattr(core.index, "get_items", get_items)
    change = AttributesChange((("x",),))
    first = asyncio.create_task(core.gallery.update("gallery", "a", {"x": 1.0}, change))
    async with asyncio.timeout(5):
        await waits.wait()
        second = await core.gallery.update("gallery", "b", {"x": 2.0}, change)
    assert not first.done()
    may_go_on.set()
    assert [(await first).attributes, second.attributes] == [{"x": 1.0}, {"x": 2.0}]


async def test_deletion_counts_images_once_and_names_unknown_ones(core: Core) -> None:
    await core.add(upload(1, RED, "a"), upload(2, BLUE, "b"))
    assert await core.gallery.delete("gallery", ["a", "a", "nothing"]) == (1, ["nothing"])
    with pytest.raises(ImageNotFound):
        await core.gallery.get("gallery", "a")
    assert (await core.gallery.get("gallery", "b")).id == "b"


async def make_old(core: Core) -> None:
    for folder in core.blobs._root.glob("??/*"):
        os.utime(folder, (1000, 1000))


async def test_the_sweeper_removes_files_of_deleted_images(core: Core, tmp_path: Path) -> None:
    await core.add(upload(1, RED, "a"), upload(2, BLUE, "b"))
    await core.gallery.delete("gallery", ["a"])
    await make_old(core)

    assert await core.sweeper.sweep(FAR_FUTURE) == 1

    with pytest.raises(BlobMissing):
        await core.blobs.read(sha256(RED), Rendition.ORIGINAL)
    assert await core.gallery.pixels("gallery", "b") == BLUE


async def test_a_file_used_by_another_collection_is_kept(core: Core) -> None:
    await core.collections.create("other", "")
    await core.add(upload(1, RED, "a"))
    await core.add(upload(1, RED, "a"), collection="other")
    await core.gallery.delete("gallery", ["a"])
    await make_old(core)

    assert await core.sweeper.sweep(FAR_FUTURE) == 0

    assert await core.gallery.pixels("other", "a") == RED


async def test_a_deleted_image_added_again_keeps_its_file(core: Core) -> None:
    await core.add(upload(1, RED, "a"))
    await core.gallery.delete("gallery", ["a"])
    await core.add(upload(1, RED, "b"))
    await core.sweeper.sweep(FAR_FUTURE)
    assert await core.gallery.pixels("gallery", "b") == RED


async def test_files_of_replaced_and_deleted_images_are_removed(core: Core) -> None:
    await core.collections.create("other", "")
    await core.add(upload(1, RED, "a"))
    await core.add(upload(2, BLUE, "a"))
    await core.add(upload(1, picture("green")), collection="other")
    await core.collections.delete("other")
    await make_old(core)
    assert await core.sweeper.sweep(FAR_FUTURE) == 2
    assert await core.gallery.pixels("gallery", "a") == BLUE


async def test_an_empty_index_does_not_cause_file_removal(core: Core) -> None:
    await core.add(upload(1, RED, "a"))
    await make_old(core)
    core.index.indexes.clear()
    core.index.aliases.clear()
    assert await core.sweeper.sweep(FAR_FUTURE) == 0
    assert await core.blobs.read(sha256(RED), Rendition.ORIGINAL) == RED
