"""The contract of image stores, for each of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.collections import object_blobs
from gateway.collections.blobs import Blob, BlobStore, Rendition
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.collections.object_blobs import ObjectBlobStore
from gateway.errors import BlobMissing, DependencyUnavailable
from serving.object_store import ObjectStore
from tests.ports import free_ports
from tests.s3_server import S3
from tests.unit.gateway.doubles import sha256

CONTENT, THUMBNAIL = b"original bytes", b"thumbnail bytes"
SHA = sha256(CONTENT)
BLOB = Blob(SHA, CONTENT, THUMBNAIL)
FAR_FUTURE = 2.0**33


@pytest.fixture(params=["folder", "memory", "s3", "gcs"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path, new_place: Callable[[str], str]) -> BlobStore:
    if request.param == "folder":
        return FolderBlobStore(tmp_path / "images")
    return ObjectBlobStore(ObjectStore(new_place(request.param)))


async def test_what_was_stored_is_held_and_read(blobs: BlobStore) -> None:
    await blobs.put([BLOB, Blob(sha256(b"other"), b"other", b"small")])

    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await blobs.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL
    assert await blobs.read(sha256(b"other"), Rendition.THUMBNAIL) == b"small"
    assert await blobs.holds(SHA, len(CONTENT))
    assert not await blobs.holds(SHA, len(CONTENT) + 1)
    assert await blobs.holds_thumbnail(SHA)


async def test_an_unknown_image_is_missing(blobs: BlobStore) -> None:
    assert not await blobs.holds(SHA, len(CONTENT))
    assert not await blobs.holds_thumbnail(SHA)
    for rendition in Rendition:
        with pytest.raises(BlobMissing, match="is missing"):
            await blobs.read(SHA, rendition)


async def test_a_thumbnail_can_be_stored_without_its_original(blobs: BlobStore) -> None:
    await blobs.put([Blob(SHA, None, THUMBNAIL)])

    assert await blobs.holds_thumbnail(SHA)
    assert not await blobs.holds(SHA, len(CONTENT))
    assert await blobs.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL


async def test_a_release_is_listed_until_it_is_withdrawn(blobs: BlobStore) -> None:
    await blobs.put([BLOB])
    await blobs.release([SHA, SHA])

    assert await blobs.released_before(FAR_FUTURE) == [SHA]
    assert await blobs.released_before(time.time() - 3_600) == []
    await blobs.retain(SHA, time.time() - 3_600)  # an old removal withdraws no release of later
    assert await blobs.released_before(FAR_FUTURE) == [SHA]
    await blobs.retain(SHA, FAR_FUTURE)
    assert await blobs.released_before(FAR_FUTURE) == []
    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT


async def test_a_removed_image_is_gone_with_its_release(blobs: BlobStore) -> None:
    await blobs.put([BLOB])
    await blobs.release([SHA])
    await blobs.remove(SHA, FAR_FUTURE)

    assert not await blobs.holds(SHA, len(CONTENT))
    assert not await blobs.holds_thumbnail(SHA)
    assert await blobs.released_before(FAR_FUTURE) == []
    await blobs.remove(SHA, FAR_FUTURE)
    await blobs.put([BLOB])
    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT


async def test_an_image_that_was_put_after_the_cutoff_is_spared(blobs: BlobStore) -> None:
    await blobs.put([BLOB])
    await blobs.release([SHA])
    await blobs.put([BLOB])
    await blobs.remove(SHA, time.time() - 3_600)

    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await blobs.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL


@pytest.mark.parametrize("name", ["..index", "abab/../../../index", "", SHA.upper(), SHA[:-1], f"{SHA}\n"])
async def test_a_name_that_is_no_sha256_is_that_of_no_image(blobs: BlobStore, tmp_path: Path, name: str) -> None:
    """Whoever changed an index or a backup chose it, so it must not lead out of the store."""
    await blobs.put([BLOB])
    outside = tmp_path / "index"
    outside.mkdir(exist_ok=True)

    assert not await blobs.holds(name, len(CONTENT))
    assert not await blobs.holds_thumbnail(name)
    for rendition in Rendition:
        with pytest.raises(BlobMissing, match="is missing"):
            await blobs.read(name, rendition)
    await blobs.release([name, SHA])
    assert await blobs.released_before(FAR_FUTURE) == [SHA]
    await blobs.remove(name, FAR_FUTURE)
    await blobs.retain(name, FAR_FUTURE)
    with pytest.raises(ValueError, match="SHA-256"):
        await blobs.put([Blob(name, CONTENT, THUMBNAIL)])

    assert not list(outside.iterdir())
    assert await blobs.holds(SHA, len(CONTENT))


@pytest.fixture
def memory() -> ObjectStore:
    return ObjectStore(f"memory://{uuid.uuid4().hex}")


def keys(store: ObjectStore) -> set[str]:
    return {each.key for each in store.list()}


async def added_meanwhile(blobs: ObjectBlobStore) -> None:
    """Put the image again while it is released."""
    await blobs.put([BLOB])


async def added_after_another_removal(blobs: ObjectBlobStore) -> None:
    """Let another process remove the image, and put it again."""
    await blobs.remove(SHA, FAR_FUTURE)
    await blobs.put([BLOB])


async def added_and_shared(blobs: ObjectBlobStore) -> None:
    """Put the thumbnail, for an item that lets the release be withdrawn; then put the image for another item."""
    await blobs.put([Blob(SHA, None, THUMBNAIL)])
    await blobs.retain(SHA, FAR_FUTURE)
    await blobs.put([BLOB])


@pytest.mark.parametrize("add", [added_meanwhile, added_after_another_removal, added_and_shared])
async def test_an_old_removal_takes_nothing_that_was_put_since(
    memory: ObjectStore, add: Callable[[ObjectBlobStore], Awaitable[None]]
) -> None:
    """The removal is one of a process that was stopped after it listed the image, and goes on much later."""
    blobs = ObjectBlobStore(memory)
    await blobs.put([BLOB])
    await blobs.release([SHA])
    listed = [key for key in keys(memory) if not key.startswith("released/")]
    await add(blobs)
    memory.delete(listed)

    assert await blobs.holds(SHA, len(CONTENT))
    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await blobs.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL


async def test_an_image_that_is_there_is_not_stored_again(memory: ObjectStore) -> None:
    blobs = ObjectBlobStore(memory)
    await blobs.put([BLOB])
    before = keys(memory)
    await blobs.put([BLOB])
    assert keys(memory) == before

    await blobs.put([Blob(SHA, CONTENT, b"a thumbnail of another version")])
    assert {generation(key) for key in keys(memory)} == {generation(key) for key in before}


def generation(key: str) -> str:
    return key.removesuffix(".webp").split("-")[1]


@pytest.mark.parametrize("to_folder", [False, True])
async def test_a_copy_is_a_store_of_the_other_kind(memory: ObjectStore, tmp_path: Path, *, to_folder: bool) -> None:
    stores = ObjectStore(str(tmp_path)), memory
    source, target = reversed(stores) if to_folder else stores
    blob_stores: dict[ObjectStore, BlobStore] = {
        stores[0]: FolderBlobStore(tmp_path),
        stores[1]: ObjectBlobStore(stores[1]),
    }
    await blob_stores[source].put([BLOB])
    await blob_stores[source].release([sha256(b"removed before")])
    for key in keys(source):
        target.put(key, source.get(key))
    copy = blob_stores[target]

    assert await copy.holds(SHA, len(CONTENT))
    assert await copy.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await copy.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL
    assert await copy.released_before(FAR_FUTURE) == []
    await copy.put([BLOB])
    await copy.release([SHA])
    await copy.remove(SHA, FAR_FUTURE)
    assert not await copy.holds(SHA, len(CONTENT))


@pytest.mark.parametrize("rendition", list(Rendition))
async def test_damage_is_noticed(memory: ObjectStore, rendition: Rendition) -> None:
    blobs = ObjectBlobStore(memory)
    await blobs.put([BLOB])
    for key in keys(memory):
        content = bytearray(memory.get(key))
        content[3] ^= 1
        memory.put(key, bytes(content))

    with pytest.raises(BlobMissing, match="is damaged"):
        await blobs.read(SHA, rendition)


async def test_storing_again_repairs_a_truncated_object(memory: ObjectStore) -> None:
    blobs = ObjectBlobStore(memory)
    await blobs.put([BLOB])
    for key in keys(memory):
        memory.put(key, memory.get(key)[:4])
    await blobs.put([BLOB])

    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await blobs.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL


async def test_thumbnails_are_cached_up_to_a_bound(memory: ObjectStore) -> None:
    blobs = ObjectBlobStore(memory, cache_bytes=2 * len(THUMBNAIL))
    shas = [sha256(bytes([number])) for number in range(3)]
    await blobs.put([Blob(sha, None, THUMBNAIL) for sha in shas])
    for sha in shas:
        await blobs.read(sha, Rendition.THUMBNAIL)
    memory.delete(list(keys(memory)))

    with pytest.raises(BlobMissing):
        await blobs.read(shas[0], Rendition.THUMBNAIL)
    assert await blobs.read(shas[2], Rendition.THUMBNAIL) == THUMBNAIL
    await blobs.remove(shas[2], FAR_FUTURE)
    with pytest.raises(BlobMissing):
        await blobs.read(shas[2], Rendition.THUMBNAIL)


async def test_a_store_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    for variable, value in S3.environment(f"http://127.0.0.1:{port}").items():
        monkeypatch.setenv(variable, value)
    blobs = ObjectBlobStore(ObjectStore("s3://images", seconds=1))

    assert blobs.health.is_well
    with pytest.raises(DependencyUnavailable, match="image store"):
        await blobs.put([BLOB])
    assert not blobs.health.is_well


async def test_a_store_that_answers_again_is_well(memory: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked soon, although it was well when it was asked last."""
    monkeypatch.setattr(object_blobs, "RECHECK_SECONDS", 0.1)
    blobs = ObjectBlobStore(memory)
    checking = asyncio.create_task(blobs.keep_checking())
    for _ in range(2):
        blobs.health.failed(DependencyUnavailable("image store"), expected=True)
        async with asyncio.timeout(10), aclosing(blobs.health.watch()) as watch:
            async for is_well in watch:
                if is_well:
                    break
    checking.cancel()
