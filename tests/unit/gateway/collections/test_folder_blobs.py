from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from gateway.collections.blobs import Blob, Rendition
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.errors import BlobMissing, StorageFull
from tests.unit.gateway.doubles import sha256

CONTENT, THUMBNAIL = b"original bytes", b"thumbnail bytes"
SHA = sha256(CONTENT)
BLOB = Blob(SHA, CONTENT, THUMBNAIL)
FAR_FUTURE = 2.0**40


@pytest.fixture
async def blobs(tmp_path: Path) -> FolderBlobStore:
    store = FolderBlobStore(tmp_path)
    await store.put([BLOB])
    return store


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_a_stored_image_is_read_by_another_process(blobs: FolderBlobStore, tmp_path: Path) -> None:
    reopened = FolderBlobStore(tmp_path)
    assert await reopened.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await reopened.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL
    assert await reopened.holds(SHA, len(CONTENT))
    assert not await reopened.holds(SHA, len(CONTENT) + 1)
    assert not await reopened.holds(sha256(b"unknown"), 1)


async def test_storing_again_leaves_no_duplicate_or_temporary_file(blobs: FolderBlobStore, tmp_path: Path) -> None:
    await blobs.put([BLOB])
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("rendition", list(Rendition))
async def test_one_flipped_bit_is_detected(blobs: FolderBlobStore, tmp_path: Path, rendition: Rendition) -> None:
    for path in files(tmp_path):
        content = bytearray(path.read_bytes())
        content[3] ^= 1
        path.write_bytes(content)
    with pytest.raises(BlobMissing, match="is damaged"):
        await blobs.read(SHA, rendition)


@pytest.mark.parametrize("rendition", list(Rendition))
async def test_a_missing_file_is_reported(blobs: FolderBlobStore, tmp_path: Path, rendition: Rendition) -> None:
    for path in files(tmp_path):
        path.unlink()
    with pytest.raises(BlobMissing, match="is missing"):
        await blobs.read(SHA, rendition)


async def test_storing_again_replaces_a_truncated_file(blobs: FolderBlobStore, tmp_path: Path) -> None:
    for path in files(tmp_path):
        path.write_bytes(path.read_bytes()[:4])
    await blobs.put([BLOB])
    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT
    assert await blobs.read(SHA, Rendition.THUMBNAIL) == THUMBNAIL


async def test_only_released_images_are_candidates_for_removal(blobs: FolderBlobStore) -> None:
    assert await blobs.released_before(FAR_FUTURE) == []
    await blobs.release([SHA])
    assert await blobs.released_before(FAR_FUTURE) == [SHA]
    assert await blobs.released_before(0) == []
    await blobs.retain(SHA, FAR_FUTURE)
    assert await blobs.released_before(FAR_FUTURE) == []
    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT


async def test_removal_deletes_all_files_and_the_release_note(blobs: FolderBlobStore, tmp_path: Path) -> None:
    await blobs.release([SHA])
    await blobs.remove(SHA, FAR_FUTURE)
    assert files(tmp_path) == []
    await blobs.remove(SHA, FAR_FUTURE)


async def test_an_image_stored_again_after_the_cutoff_is_kept(blobs: FolderBlobStore, tmp_path: Path) -> None:
    folder = tmp_path / SHA[:2] / SHA[2:]
    os.utime(folder, (1000, 1000))
    await blobs.release([SHA])
    await blobs.put([BLOB])
    await blobs.remove(SHA, 2000.0)
    assert await blobs.read(SHA, Rendition.ORIGINAL) == CONTENT


async def test_files_are_removed_off_the_event_loop(blobs: FolderBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    unlink = Path.unlink

    def spy_unlink(self: Path, missing_ok: bool = False) -> None:
        threads.append(threading.current_thread())
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", spy_unlink)
    await blobs.release([SHA])
    await blobs.retain(SHA, FAR_FUTURE)
    await blobs.remove(SHA, FAR_FUTURE)
    assert len(threads) == 1
    assert threading.main_thread() not in threads


async def test_a_read_only_folder_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFull, match="cannot be stored"):
        await FolderBlobStore(tmp_path / "file").put([BLOB])


async def test_a_write_is_synced_before_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(descriptor: int) -> None:
        calls.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def spy_replace(self: Path, target: Path) -> Path:
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    await FolderBlobStore(tmp_path).put([BLOB, Blob(sha256(b"other"), b"other", THUMBNAIL)])
    assert calls[:8] == ["fsync file"] * 4 + ["rename"] * 4
    # The images' folders, and the folders in which new folders were made.
    assert calls[8:] == ["fsync folder"] * len(calls[8:])
    assert len(calls[8:]) >= 5


@pytest.mark.parametrize("call", ["fsync", "replace"])
async def test_a_failed_write_leaves_only_complete_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    several = [Blob(sha256(content), content, THUMBNAIL) for content in (b"a", b"bb", b"ccc")]
    whole = {*(blob.original for blob in several), THUMBNAIL}
    fsync, replace = os.fsync, Path.replace
    left = 0

    def step(kind: str) -> None:
        nonlocal left
        if kind == call:
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

    def failing_fsync(descriptor: int) -> None:
        step("fsync")
        fsync(descriptor)

    def failing_replace(self: Path, target: Path) -> Path:
        step("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", failing_fsync)
    monkeypatch.setattr(Path, "replace", failing_replace)
    for steps in range(6):
        left = steps
        store = FolderBlobStore(tmp_path / f"{call} {steps}")
        with pytest.raises(StorageFull, match="No space left"):
            await store.put(several)
        assert {path.read_bytes() for path in files(store._root)} <= whole
        left = 1000
        await store.put(several)
        assert [await store.read(blob.sha256, Rendition.ORIGINAL) for blob in several] == [b"a", b"bb", b"ccc"]


async def test_different_images_are_stored_concurrently(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)
    several = [Blob(sha256(bytes([number])), bytes([number]), THUMBNAIL) for number in range(8)]
    await asyncio.gather(*(store.put(several[start:] + several[:start]) for start in range(8)))
    assert all([await store.holds(blob.sha256, 1) for blob in several])
    assert len(files(tmp_path)) == 16
