"""Uploads, changes and deletions of the same images at the same time: the result is that of one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.collections.gallery import AttributesChange
from gateway.ingest.ingest import IngestLimits
from gateway.ingest.results import UploadResult
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import COLORS, ColorEmbedder, picture, sha256

RED, BLUE = picture("red"), picture("blue")
FAR_FUTURE = 2.0**40


@pytest.fixture
async def core(tmp_path: Path) -> Core:
    embedder = ColorEmbedder()
    bulk = BulkEmbedding(embedder)
    for name in ("one", "two"):  # with two, batches are planned ahead
        bulk.put(name, embedder)
    return await open_core(tmp_path / "images", IngestLimits(batch_images=1), embedder, bulk=bulk)


@contextmanager
def paused(core: Core, method: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Hold the first call of a method of the index; yield what tells that it waits, and what lets it go on."""
    waits, may_go_on, original = asyncio.Event(), asyncio.Event(), getattr(core.index, method)

    async def call(*arguments: object) -> object:
        if not waits.is_set():
            waits.set()
            await may_go_on.wait()
        return await original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(core.index, method, call)
        yield waits, may_go_on


async def overtake(task: asyncio.Task[list[UploadResult]]) -> None:
    """Give an upload time to end before a call that is held; it need not."""
    await asyncio.wait({task}, timeout=0.2)


async def require_whole(core: Core, image_id: str, color: str, *, released: Sequence[bytes] = ()) -> None:
    """Require that an image's file, description and vector are those of one picture, and which files may be removed."""
    content = picture(color)
    image = await core.gallery.get("gallery", image_id)
    assert (image.sha256, image.size_bytes) == (sha256(content), len(content))
    assert await core.gallery.pixels("gallery", image_id) == content
    item = core.index.indexes[core.index.aliases["images-gallery"]].items[image_id]
    model = core.index.indexes[core.index.aliases["images-gallery"]].definition.model_id
    assert item.vector == pytest.approx(core.embedder.vector(COLORS[color], model), abs=0.02)
    assert set(await core.blobs.released_before(FAR_FUTURE)) == {sha256(each) for each in released}


async def attributes(core: Core, image_id: str) -> object:
    return (await core.gallery.get("gallery", image_id)).attributes


async def test_a_change_of_attributes_does_not_undo_an_upload(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.add(upload(1, RED, "x", {"n": 1.0}))
    with paused(core, "upsert", monkeypatch) as (waits, may_go_on):
        updating = asyncio.create_task(core.gallery.update("gallery", "x", {"n": 2.0}, AttributesChange((("n",),))))
        await waits.wait()
        adding = asyncio.create_task(core.add(upload(2, BLUE, "x", {"by": "upload"})))
        await overtake(adding)
        may_go_on.set()
        await updating
        await adding
    await require_whole(core, "x", "blue", released=[RED])
    assert await attributes(core, "x") in ({"by": "upload"}, {"by": "upload", "n": 2.0})


async def test_a_deletion_releases_the_file_that_an_upload_has_just_replaced(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.add(upload(1, RED, "x"))
    with paused(core, "delete_items", monkeypatch) as (waits, may_go_on):
        deleting = asyncio.create_task(core.gallery.delete("gallery", ["x"]))
        await waits.wait()
        adding = asyncio.create_task(core.add(upload(2, BLUE, "x")))
        await overtake(adding)
        may_go_on.set()
        assert await deleting == (1, [])
        await adding
    if await core.index.get_items("images-gallery", ["x"]):
        await require_whole(core, "x", "blue", released=[RED])
    else:
        assert set(await core.blobs.released_before(FAR_FUTURE)) == {sha256(RED), sha256(BLUE)}
