from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from gateway.backends.attributes import from_text
from gateway.backends.bulk_embedding import CALL_IMAGES, CALLS, BulkEmbedding
from gateway.backends.embedding import ImageEmbeddings, ImageInput
from gateway.backends.refusals import Overloaded, Refused
from gateway.backends.vector_index import Engine, NewIndex
from gateway.collections.blobs import Rendition
from gateway.errors import BlobMissing, CollectionNotFound, DependencyUnavailable, ImageTooLarge, InvalidId
from gateway.ingest.ingest import IngestLimits
from gateway.ingest.plan import Upload
from tests.unit.gateway.core import Core, open_core, stream, until, upload
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, ColorEmbedder, overloaded, picture, sha256

DEADLINE = 30.0
RED, BLUE, GREEN = picture("red"), picture("blue"), picture("green")


async def stored(core: Core, collection: str = "gallery") -> dict[str, str]:
    images, _ = await core.gallery.list_page(collection, 1000, "", None)
    return {image.id: image.sha256 for image in images}


async def test_an_image_without_an_id_is_named_by_its_bytes(core: Core) -> None:
    [result] = await core.add(upload(7, RED, attributes={"album": "colours"}))

    assert (result.sequence, result.id, result.error, result.duplicate_of) == (7, sha256(RED), None, "")
    image = await core.gallery.get("gallery", result.id)
    assert (image.width, image.height, image.media_type, image.size_bytes) == (16, 12, "image/png", len(RED))
    assert image.attributes == {"album": "colours"}
    assert await core.blobs.read(image.sha256, Rendition.ORIGINAL) == RED
    assert (await core.blobs.read(image.sha256, Rendition.THUMBNAIL))[8:12] == b"WEBP"


async def test_known_bytes_without_an_id_are_a_duplicate(core: Core) -> None:
    await core.add(upload(1, RED, "my-red", {"n": 1.0}))

    [result] = await core.add(upload(2, RED, attributes={"n": 2.0}))

    assert (result.id, result.duplicate_of, result.error) == ("my-red", "my-red", None)
    assert await stored(core) == {"my-red": sha256(RED)}
    assert (await core.gallery.get("gallery", "my-red")).attributes == {"n": 1.0}
    assert core.embedder.embedded_images == 1


async def test_known_bytes_with_another_id_are_a_duplicate(core: Core) -> None:
    await core.add(upload(1, RED))
    [result] = await core.add(upload(2, RED, "again"))
    assert result.duplicate_of == sha256(RED)
    assert await stored(core) == {sha256(RED): sha256(RED)}


async def test_the_same_id_and_bytes_replace_only_given_attributes(core: Core) -> None:
    await core.add(upload(1, RED, "a", {"n": 1.0}))

    [without] = await core.add(upload(2, RED, "a"))
    assert (without.id, without.duplicate_of, without.error) == ("a", "", None)
    assert (await core.gallery.get("gallery", "a")).attributes == {"n": 1.0}

    [with_new] = await core.add(upload(3, RED, "a", {"m": 2.0}))
    assert (with_new.id, with_new.duplicate_of, with_new.error) == ("a", "", None)
    assert (await core.gallery.get("gallery", "a")).attributes == {"m": 2.0}
    assert core.embedder.embedded_images == 1


async def test_other_bytes_replace_an_image_and_keep_its_create_time(core: Core) -> None:
    await core.add(upload(1, RED, "a", {"n": 1.0}))
    before = await core.gallery.get("gallery", "a")

    [result] = await core.add(upload(2, BLUE, "a"))

    after = await core.gallery.get("gallery", "a")
    assert (result.id, result.duplicate_of) == ("a", "")
    assert (after.sha256, after.attributes, after.create_time) == (sha256(BLUE), {}, before.create_time)


async def test_equal_images_of_one_batch_are_recognised(core: Core) -> None:
    results = await core.add(upload(1, RED), upload(2, BLUE), upload(3, RED), upload(4, RED, "mine"))
    assert [result.duplicate_of for result in results] == ["", "", sha256(RED), sha256(RED)]
    assert core.embedder.embedded_images == 2


async def test_equal_images_of_adjacent_batches_are_recognised(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(batch_images=1))
    results = await core.add(*(upload(number, RED) for number in range(6)))
    assert [result.duplicate_of for result in results] == ["", *[sha256(RED)] * 5]
    assert core.embedder.embedded_images == 1


async def test_the_same_bytes_in_another_collection_are_another_image(core: Core) -> None:
    await core.collections.create("other", "")
    await core.add(upload(1, RED))
    [result] = await core.add(upload(1, RED), collection="other")
    assert result.duplicate_of == ""
    assert await stored(core, "other") == await stored(core)


async def test_a_bad_image_gets_an_error_beside_good_ones(core: Core) -> None:
    results = await core.add(
        upload(1, RED),
        upload(2, b"no image"),
        upload(3, BLUE[:60]),
        upload(4, GREEN, "a/b"),
        upload(5, b"x" * (core.embedder.limits.max_image_bytes + 1)),
        upload(6, b"no image"),
        upload(7, BLUE),
    )
    assert [result.sequence for result in results] == [1, 2, 3, 4, 5, 6, 7]
    errors = [result.error for result in results]
    assert errors[0] is errors[6] is None
    assert isinstance(errors[1], Refused)
    assert errors[1].refusal.reason == "NOT_AN_IMAGE"
    assert isinstance(errors[2], Refused)
    assert isinstance(errors[3], InvalidId)
    assert isinstance(errors[4], ImageTooLarge)
    assert isinstance(errors[5], Refused), "what follows a bad image with the same bytes is bad too"
    assert set(await stored(core)) == {sha256(RED), sha256(BLUE)}


async def test_acknowledged_images_are_searchable_and_have_files(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(window_images=4, batch_images=2))
    sent = [upload(number * 3, picture("red", seed=number)) for number in range(20)]
    durable = -1
    async for answer in core.ingest.run("gallery", stream(sent)):
        assert answer.durable_sequence > durable
        durable = answer.durable_sequence
        assert answer.results[-1].sequence == durable
        for result in answer.results:
            image = await core.gallery.get("gallery", result.id)
            await core.blobs.read(image.sha256, Rendition.ORIGINAL)
    assert durable == sent[-1].sequence
    assert len(await stored(core)) == 20


async def test_acknowledged_images_are_kept_when_the_caller_leaves(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(window_images=2, batch_images=1))

    async def endless() -> AsyncIterator[Upload]:
        for number in itertools.count():
            yield upload(number, picture("green", seed=number))

    answers = core.ingest.run("gallery", endless())
    first = await anext(answers)
    second = await anext(answers)
    await answers.aclose()

    assert {result.id for answer in (first, second) for result in answer.results} <= set(await stored(core))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others, "the stages end with the stream"


async def test_a_stream_reads_at_most_the_window_ahead(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(window_images=4, batch_images=2))
    read = 0

    async def counted() -> AsyncIterator[Upload]:
        nonlocal read
        for number in range(40):
            read += 1
            yield upload(number, picture("green", seed=number))

    answered = 0
    async for answer in core.ingest.run("gallery", counted()):
        answered += len(answer.results)
        # The window, one batch that waits for the caller, and one image that waits for admission.
        assert read <= answered + 4 + 2 + 1
    assert answered == read == 40


def reds(first: int) -> list[Upload]:
    return [upload(first + number, picture("red", seed=first + number)) for number in range(10)]


async def test_all_streams_share_the_byte_limit(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(pending_bytes=3 * len(RED) + 30, batch_images=2))
    read, most = 0, 0

    async def counted(uploads: Sequence[Upload]) -> AsyncIterator[Upload]:
        nonlocal read, most
        for each in uploads:
            read += 1
            most = max(most, read - (await core.collections.get("gallery")).image_count)
            yield each

    async def send(uploads: Sequence[Upload]) -> int:
        return sum([len(answer.results) async for answer in core.ingest.run("gallery", counted(uploads))])

    answered = await asyncio.gather(*(send(reds(100 * number)) for number in range(4)))
    assert answered == [10] * 4
    assert most <= 3 + 4, "three that fit, and one in the hand of each stream"


async def test_a_caller_that_reads_no_answers_blocks_no_other(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(pending_bytes=2 * len(RED), batch_images=1))
    idle = core.ingest.run("gallery", stream(reds(0)))
    await anext(idle)
    async with asyncio.timeout(DEADLINE):
        assert len(await core.add(*reds(100))) == 10
    await idle.aclose()


async def test_a_cancelled_stream_blocks_no_other(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(pending_bytes=2 * len(RED)))
    reached = asyncio.Event()

    class Stuck(ColorEmbedder):
        @override
        async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
            reached.set()
            return await asyncio.Future()

    embed = core.embedder.embed_images
    core.embedder.embed_images = Stuck().embed_images  # type: ignore[method-assign]
    stuck = asyncio.create_task(core.add(*reds(0)))
    await reached.wait()
    core.embedder.embed_images = embed  # type: ignore[method-assign]
    stuck.cancel()
    async with asyncio.timeout(DEADLINE):
        assert len(await core.add(*reds(100))) == 10


async def test_an_overloaded_embedder_is_retried_after_its_delay(core: Core) -> None:
    refusals = iter([overloaded(0.01), overloaded(0.01)])

    def refuse_twice() -> None:
        if error := next(refusals, None):
            raise error

    core.embedder.before_images = refuse_twice
    [result] = await core.add(upload(1, RED))
    assert result.error is None


async def test_an_embedder_that_stays_overloaded_fails_the_image(tmp_path: Path) -> None:
    core = await open_core(tmp_path, IngestLimits(overload_seconds=0.05))

    def refuse() -> None:
        raise overloaded(0.01)

    core.embedder.before_images = refuse
    [result] = await core.add(upload(1, RED))
    assert isinstance(result.error, Overloaded)
    assert await stored(core) == {}


async def test_an_unresponsive_embedder_ends_the_stream_and_keeps_data(
    tmp_path: Path,
) -> None:
    core = await open_core(tmp_path, IngestLimits(batch_images=1))

    def fail_on_the_third() -> None:
        if core.embedder.embedded_images == 2:
            raise DependencyUnavailable("embedder")

    core.embedder.before_images = fail_on_the_third
    answers = core.ingest.run("gallery", stream(upload(n, picture("red", seed=n)) for n in range(9)))
    acknowledged = [result.id for _ in range(2) for result in (await anext(answers)).results]
    with pytest.raises(DependencyUnavailable):
        await anext(answers)
    assert len(acknowledged) == 2
    assert set(acknowledged) <= set(await stored(core))


async def test_an_unresponsive_index_acknowledges_nothing(core: Core) -> None:
    def fail() -> None:
        raise DependencyUnavailable("index")

    core.index.before_upsert = fail
    with pytest.raises(DependencyUnavailable):
        await core.add(upload(1, RED))
    assert await stored(core) == {}


async def test_the_file_is_durable_before_the_item(core: Core) -> None:
    def check() -> None:
        assert (core_root / sha256(RED)[:2] / sha256(RED)[2:] / "original").read_bytes() == RED

    core_root = core.blobs._root
    core.index.before_upsert = check
    [result] = await core.add(upload(1, RED))
    assert result.error is None


async def test_sending_the_bytes_again_restores_a_missing_file(core: Core) -> None:
    [first] = await core.add(upload(1, RED, "a", {"n": 1.0}))
    await core.blobs.release([sha256(RED)])
    await core.blobs.remove(sha256(RED), cutoff=2**40)
    with pytest.raises(BlobMissing):
        await core.gallery.pixels("gallery", first.id)

    [again] = await core.add(upload(2, RED))

    assert again.duplicate_of == "a"
    assert await core.gallery.pixels("gallery", "a") == RED
    assert (await core.gallery.get("gallery", "a")).attributes == {"n": 1.0}


async def test_an_unknown_collection_is_refused_before_reading(core: Core) -> None:
    with pytest.raises(CollectionNotFound):
        await core.add(upload(1, RED), collection="nowhere")


async def test_images_are_embedded_with_their_collections_model(core: Core) -> None:
    core.embedder.model = OTHER_MODEL
    await core.collections.create("newer", "")
    for collection, model in (("gallery", MODEL), ("newer", OTHER_MODEL)):
        [result] = await core.add(upload(1, RED, "red"), collection=collection)
        assert result.error is None
        index = core.index.indexes[core.index.aliases[f"images-{collection}"]]
        assert index.definition.model_id == model.id
        assert index.items["red"].vector == pytest.approx(core.embedder.vector((255, 0, 0), model.id), abs=0.02)


async def test_a_model_switched_before_storing_embeds_the_images_again(
    core: Core,
) -> None:
    """As if another process had switched the model."""

    def switch() -> None:
        core.index.before_upsert = lambda: None
        core.index.move(
            "images-gallery", NewIndex("images-gallery.other", MODEL.dimension, OTHER_MODEL.id, Engine.ANNOY)
        )

    core.index.before_upsert = switch
    [result] = await core.add(upload(1, RED, "red", {"n": 1.0}))
    assert result.error is None
    item = core.index.indexes["images-gallery.other"].items["red"]
    assert from_text(item.attributes)["user"] == {"n": 1.0}
    assert item.vector == pytest.approx(core.embedder.vector((255, 0, 0), OTHER_MODEL.id), abs=0.02)
    assert core.embedder.embedded_images == 2


class SequentialGallery:
    """The oracle: the expected results of a stream, one image at a time."""

    def __init__(self) -> None:
        self.images: dict[str, tuple[bytes, float | None]] = {}

    def add(self, content: bytes, image_id: str, attribute: float | None) -> tuple[str, str]:
        """Return the id and `duplicate_of`."""
        if not content:
            return "", ""
        holders = [each for each, (bytes_, _) in self.images.items() if bytes_ == content]
        if image_id in holders:
            if attribute is not None:
                self.images[image_id] = (content, attribute)
            return image_id, ""
        if holders:
            return holders[0], holders[0]
        name = image_id or sha256(content)
        self.images[name] = (content, attribute)
        return name, ""


UPLOADS = st.lists(
    st.tuples(
        st.sampled_from([RED, BLUE, GREEN, b""]),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from([None, 1.0, 2.0]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(uploads=UPLOADS, batch=st.integers(1, 5))
def test_a_stream_has_the_result_of_single_images(
    tmp_path_factory: pytest.TempPathFactory, uploads: Sequence[tuple[bytes, str, float | None]], batch: int
) -> None:
    async def run() -> None:
        core = await open_core(tmp_path_factory.mktemp("images"), IngestLimits(batch_images=batch))
        sent = [
            upload(number, content, image_id, None if attribute is None else {"n": attribute})
            for number, (content, image_id, attribute) in enumerate(uploads)
        ]
        oracle = SequentialGallery()
        expected = [oracle.add(*each) for each in uploads]
        results = await core.add(*sent)
        assert [(result.id, result.duplicate_of) for result in results] == expected
        images, _ = await core.gallery.list_page("gallery", 100, "", None)
        assert {image.id: (image.sha256, image.attributes.get("n")) for image in images} == {
            name: (sha256(content), attribute) for name, (content, attribute) in oracle.images.items()
        }
        for image in images:
            assert await core.gallery.pixels("gallery", image.id)

    asyncio.run(run())


async def test_an_upload_continues_on_the_other_embedders_while_one_is_slow(tmp_path: Path) -> None:
    slow, fast = Slow(), ColorEmbedder()
    bulk = BulkEmbedding(fast)
    bulk.put("slow", slow)
    bulk.put("fast", fast)
    core = await open_core(tmp_path, IngestLimits(window_images=64), fast, bulk=bulk)
    uploads = [upload(number, picture("red", seed=number)) for number in range(200)]
    adding = asyncio.create_task(core.add(*uploads))
    # Twice the window of one embedder, less one batch, and what the slow one holds.
    await until(lambda: fast.embedded_images >= 128 - 16 - CALLS * CALL_IMAGES)
    slow.released.set()
    results = await adding
    assert [result.sequence for result in results] == list(range(200))
    assert all(result.error is None for result in results)


class Slow(ColorEmbedder):
    """Answers once it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    @override
    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        await self.released.wait()
        return await super().embed_images(images, model_id)
