"""Uploads, changes and deletions of the same images at the same time: the result is that of one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backends.bulk_embedding import BulkEmbedding
from gateway.backends.embedding import ImageEmbeddings, ImageInput
from gateway.backends.vector_index import Engine, NewIndex
from gateway.collections.gallery import AttributesChange
from gateway.errors import ImageNotFound
from gateway.ingest.embedding import BatchEmbedding, new_entries
from gateway.ingest.ingest import IngestLimits
from gateway.ingest.plan import IngestPlanner, Upload
from gateway.ingest.results import UploadResult
from gateway.ingest.storing import BatchStoring
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, ColorEmbedder, picture, sha256

RED, BLUE, GREEN, YELLOW = picture("red"), picture("blue"), picture("green"), picture("yellow")
# The first and the last image of a stream whose storing can be held.
FIRST, LAST = picture("orange"), picture("purple")
FAR_FUTURE = 2.0**40
DEADLINE = 10.0


@pytest.fixture
async def core(tmp_path: Path) -> Core:
    embedder = ColorEmbedder()
    bulk = BulkEmbedding(embedder)
    for name in ("one", "two"):  # with two, batches are planned ahead
        bulk.put(name, embedder)
    return await open_core(tmp_path / "images", IngestLimits(batch_images=1), embedder, bulk=bulk)


class HeldStream:
    """A stream of FIRST, some images and LAST. All are planned, but none is stored before `release` is called."""

    def __init__(self, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        self._core = core
        self._planned = asyncio.Event()
        self._holds: dict[bytes, asyncio.Event] = {}
        self._released = self.hold(FIRST)
        embed = core.embedder.embed_images

        async def embed_images(images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
            contents = [image.content for image in images]
            if LAST in contents:  # it is planned behind all others
                self._planned.set()
            for content in contents:
                if content in self._holds:
                    await self._holds[content].wait()
            return await embed(images, model_id)

        monkeypatch.setattr(core.embedder, "embed_images", embed_images)

    def hold(self, content: bytes) -> asyncio.Event:
        """Hold an image, and with it all that follow; return what lets it go on."""
        return self._holds.setdefault(content, asyncio.Event())

    async def begin(self, *uploads: Upload) -> None:
        stream = [upload(0, FIRST, "first"), *uploads, upload(99, LAST, "last")]
        self._running = asyncio.create_task(self._core.add(*stream))
        async with asyncio.timeout(DEADLINE):
            await self._planned.wait()

    async def release(self) -> list[UploadResult]:
        """Let it go on; return the results of the images between FIRST and LAST, which are stored too."""
        self._released.set()
        async with asyncio.timeout(DEADLINE):
            first, *results, last = await self._running
        assert [(each.id, each.error) for each in (first, last)] == [("first", None), ("last", None)]
        return results


@pytest.fixture
def held(core: Core, monkeypatch: pytest.MonkeyPatch) -> HeldStream:
    return HeldStream(core, monkeypatch)


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


async def test_attributes_sent_again_do_not_undo_an_upload_of_another_stream(core: Core, held: HeldStream) -> None:
    await core.add(upload(1, RED, "x", {"n": 1.0}))
    await held.begin(upload(1, RED, "x", {"n": 2.0}))
    await core.add(upload(1, BLUE, "x", {"n": 3.0}))

    [result] = await held.release()

    assert (result.id, result.duplicate_of, result.error) == ("x", "", None)
    await require_whole(core, "x", "red", released=[RED, BLUE])
    assert await attributes(core, "x") == {"n": 2.0}


async def test_attributes_sent_again_during_a_deletion_add_the_image_anew(core: Core, held: HeldStream) -> None:
    await core.add(upload(1, RED, "x", {"n": 1.0}))
    before = await core.gallery.get("gallery", "x")
    await held.begin(upload(1, RED, "x", {"n": 2.0}), upload(2, RED, "x", {"n": 3.0}), upload(3, RED))
    await core.gallery.delete("gallery", ["x"])

    results = await held.release()

    assert [(each.id, each.duplicate_of, each.error) for each in results] == [
        ("x", "", None),
        ("x", "", None),
        ("x", "x", None),
    ]
    await require_whole(core, "x", "red", released=[RED])
    assert await attributes(core, "x") == {"n": 3.0}
    assert (await core.gallery.get("gallery", "x")).create_time > before.create_time


async def test_one_batch_keeps_its_order_when_a_part_of_it_is_planned_again(core: Core) -> None:
    await core.add(upload(1, RED, "x", {"n": 1.0}))
    batches = BatchEmbedding(BulkEmbedding(core.embedder), core.placements, 2**20, 1.0)
    storing = BatchStoring(batches, core.index, core.blobs, core.placements, core.writes)
    sent = [
        upload(1, GREEN, "a"),
        upload(2, RED, "x", {"n": 2.0}),
        upload(3, RED, "y"),
        upload(4, b"no image"),
        upload(5, GREEN, "a", {"n": 5.0}),
        upload(6, BLUE, "x", {"n": 6.0}),
    ]
    planner = IngestPlanner(core.index, core.blobs, core.placements, "gallery")
    steps, rest = await planner.plan([replace(each, sha256=sha256(each.content)) for each in sent])
    assert not rest
    embedded = await batches.embed("gallery", new_entries(steps))
    await core.gallery.delete("gallery", ["x"])

    results = await storing.store("gallery", steps, embedded)

    assert [(each.sequence, each.id, each.duplicate_of) for each in results] == [
        (1, "a", ""),
        (2, "x", ""),
        (3, "x", "x"),
        (4, "", ""),
        (5, "a", ""),
        (6, "x", ""),
    ]
    await require_whole(core, "x", "blue", released=[RED])
    await require_whole(core, "a", "green", released=[RED])
    assert (await attributes(core, "x"), await attributes(core, "a")) == ({"n": 6.0}, {"n": 5.0})


async def test_an_image_deleted_after_its_stream_has_added_it_is_added_anew(core: Core, held: HeldStream) -> None:
    may_go_on = held.hold(GREEN)
    await held.begin(upload(1, RED, "x"), upload(2, GREEN), upload(3, RED, "x", {"n": 3.0}))
    running = asyncio.create_task(held.release())
    async with asyncio.timeout(DEADLINE):
        while await core.gallery.delete("gallery", ["x"]) == (0, ["x"]):  # noqa: ASYNC110
            await asyncio.sleep(0)
    may_go_on.set()

    assert [(each.id, each.duplicate_of) for each in await running] == [("x", ""), (sha256(GREEN), ""), ("x", "")]

    await require_whole(core, "x", "red", released=[RED])
    assert await attributes(core, "x") == {"n": 3.0}


async def test_a_switch_that_leaves_out_an_image_does_not_end_the_stream(core: Core, held: HeldStream) -> None:
    """As if another process had switched the model."""
    await core.add(upload(1, RED, "x", {"n": 1.0}))
    await held.begin(upload(1, RED, "x", {"n": 2.0}))
    core.index.move("images-gallery", NewIndex("images-gallery.other", MODEL.dimension, OTHER_MODEL.id, Engine.ANNOY))

    [result] = await held.release()

    assert (result.id, result.duplicate_of, result.error) == ("x", "", None)
    await require_whole(core, "x", "red")
    assert await attributes(core, "x") == {"n": 2.0}


async def test_two_uploads_of_other_bytes_leave_no_file_behind(core: Core, held: HeldStream) -> None:
    await core.add(upload(1, RED, "x"))
    before = await core.gallery.get("gallery", "x")
    await held.begin(upload(1, BLUE, "x"), upload(2, YELLOW, "y"))
    await core.add(upload(1, GREEN, "x"), upload(2, RED, "y"))

    assert [each.error for each in await held.release()] == [None, None]

    await require_whole(core, "x", "blue", released=[RED, GREEN])
    await require_whole(core, "y", "yellow", released=[RED, GREEN])
    assert (await core.gallery.get("gallery", "x")).create_time == before.create_time


async def test_the_same_bytes_from_two_streams_are_one_image(core: Core, held: HeldStream) -> None:
    await held.begin(upload(1, RED, "x"), upload(2, BLUE, "y", {"n": 1.0}), upload(3, GREEN, attributes={"n": 1.0}))
    await core.add(
        *(
            upload(number, each, name, {"n": 2.0})
            for number, each, name in ((1, RED, "x"), (2, BLUE, "y"), (3, GREEN, ""))
        )
    )

    results = await held.release()

    green = sha256(GREEN)
    assert [(each.id, each.duplicate_of) for each in results] == [("x", ""), ("y", ""), (green, green)]
    assert [await attributes(core, each) for each in ("x", "y", green)] == [{"n": 2.0}, {"n": 1.0}, {"n": 2.0}]


async def test_an_image_that_an_upload_was_to_mend_keeps_what_was_changed_meanwhile(
    core: Core, held: HeldStream
) -> None:
    for content, name in ((RED, "x"), (BLUE, "y")):
        await core.add(upload(1, content, name, {"n": 1.0}))
        await core.blobs.remove(sha256(content), cutoff=FAR_FUTURE)
    await held.begin(upload(1, RED), upload(2, BLUE))
    await core.gallery.update("gallery", "x", {"n": 2.0}, AttributesChange())
    await core.gallery.delete("gallery", ["y"])

    mended, added = await held.release()

    assert (mended.id, mended.duplicate_of) == ("x", "x")
    await require_whole(core, "x", "red", released=[BLUE])
    assert await attributes(core, "x") == {"n": 2.0}
    assert (added.id, added.duplicate_of) == (sha256(BLUE), "")
    with pytest.raises(ImageNotFound):
        await core.gallery.get("gallery", "y")


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
