"""The contract of image stores, for each of them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from gateway.collections.blobs import Blob, BlobStore, Rendition
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.collections.object_blobs import ObjectBlobStore
from gateway.errors import BlobMissing, DependencyUnavailable
from serving.object_store import ObjectStore
from tests.ports import free_ports
from tests.s3_server import BUCKET, environment
from tests.unit.gateway.doubles import sha256

CONTENT, THUMBNAIL = b"original bytes", b"thumbnail bytes"
SHA = sha256(CONTENT)
BLOB = Blob(SHA, CONTENT, THUMBNAIL)
FAR_FUTURE = 2.0**33


@pytest.fixture(params=["folder", "memory", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    if request.param == "folder":
        return FolderBlobStore(tmp_path)
    name = uuid.uuid4().hex
    if request.param == "memory":
        return ObjectBlobStore(ObjectStore(f"memory://{name}"))
    for variable, value in environment(request.getfixturevalue("s3")).items():
        monkeypatch.setenv(variable, value)
    return ObjectBlobStore(ObjectStore(f"s3://{BUCKET}/{name}"))


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
    await blobs.retain(SHA)
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


@pytest.fixture
def memory() -> ObjectStore:
    return ObjectStore(f"memory://{uuid.uuid4().hex}")


def keys(store: ObjectStore) -> set[str]:
    return {each.key for each in store.list()}


async def test_a_removal_in_progress_takes_nothing_that_is_put_meanwhile(memory: ObjectStore) -> None:
    """The removal is one of a process that was stopped after it listed the image, and goes on much later."""
    blobs = ObjectBlobStore(memory)
    await blobs.put([BLOB])
    await blobs.release([SHA])
    listed = [key for key in keys(memory) if not key.startswith("released/")]
    await blobs.put([BLOB])
    memory.delete(listed)

    assert await blobs.holds(SHA, len(CONTENT))
    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await blobs.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL


async def test_the_names_are_those_of_a_folder(memory: ObjectStore, tmp_path: Path) -> None:
    await FolderBlobStore(tmp_path).put([BLOB])
    await ObjectBlobStore(memory).put([BLOB])

    assert keys(memory) == keys(ObjectStore(str(tmp_path)))


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
    for variable, value in environment(f"http://127.0.0.1:{port}").items():
        monkeypatch.setenv(variable, value)
    blobs = ObjectBlobStore(ObjectStore("s3://images"))

    with pytest.raises(DependencyUnavailable, match="image store"):
        await blobs.put([BLOB])
