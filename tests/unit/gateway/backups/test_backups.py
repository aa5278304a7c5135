"""Backups and restores over doubles: equal, incremental, and right wherever they are stopped."""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from math import inf
from pathlib import Path
from typing import Any

import pytest
from semsearch.v1 import backup_service_pb2 as pb

from gateway.api.backup_servicer import BackupServicer
from gateway.backups import place as place_module
from gateway.backups import progress
from gateway.backups.backups import Backups
from gateway.backups.errors import (
    BackupDamaged,
    BackupNotFound,
    BackupPlaceFull,
    BackupPlaceRefused,
    BackupsOff,
    BackupUnderWay,
    NotEmpty,
)
from gateway.backups.keeping import prune, verify
from gateway.backups.manifest import manifest_key, time_of
from gateway.backups.place import BackupPlace, open_place
from gateway.backups.progress import Tally
from gateway.collections.blobs import Rendition
from gateway.errors import DependencyUnavailable, OwnerChanged
from gateway.lease import SoleProcess, Term
from serving.object_store import ObjectStore
from tests.unit.gateway.backups.suites import MODELS, Steps, Stopped, Suite, new_store, open_suite
from tests.unit.gateway.core import upload
from tests.unit.gateway.doubles import OTHER_MODEL, picture, sha256

COLORS = ("red", "green", "blue")


@pytest.fixture
async def source(tmp_path: Path) -> Suite:
    """Two collections with three images, one of which is in both; the other model serves."""
    suite = await open_suite(tmp_path / "source" / "images")
    await suite.core.collections.create("zoo", "Zoo")
    await suite.core.add(*(upload(number, picture(color), color) for number, color in enumerate(COLORS)))
    await suite.core.add(upload(0, picture("red"), "r", {"a": 1}), collection="zoo")
    await suite.core.embedder.activate_model(OTHER_MODEL.id)
    return suite


async def empty(folder: Path, steps: Steps | None = None) -> Suite:
    suite = await open_suite(folder / "images", steps)
    del suite.core.embedder.models[OTHER_MODEL.id]
    return suite


async def damages_of(place: BackupPlace) -> list[str]:
    damages: list[str] = []
    await verify(place, (await place.manifest())[1], Tally(), damages)
    return damages


@pytest.mark.parametrize("kind", ["memory", "s3", "gcs"])
async def test_a_restored_suite_equals_the_one_that_was_saved(
    source: Suite, tmp_path: Path, kind: str, new_place: Callable[[str], str]
) -> None:
    place = BackupPlace(ObjectStore(new_place(kind)))
    saved = await source.save(place)
    target = await empty(tmp_path / "target")

    restored = await target.restore(place)

    assert await target.content() == await source.content()
    assert (await target.core.embedder.get_model())[0].id == OTHER_MODEL.id
    assert target.core.embedder.models.keys() == MODELS.keys()
    assert await target.core.words.is_filled(OTHER_MODEL.id)
    assert target.core.index.aliases.keys() >= {"images-gallery", "images-zoo"}
    assert [name for name in target.core.index.indexes if name.startswith("images-")] == sorted(
        name for name in source.core.index.indexes if name.startswith("images-")
    )
    assert saved.bytes_done == restored.bytes_done
    assert (saved.images_done, saved.images_missing, saved.log_bytes) == (4, 0, 7)
    assert not await damages_of(place)


async def test_a_later_backup_copies_what_changed(source: Suite, tmp_path: Path) -> None:
    place = BackupPlace(new_store())
    await source.save(place)
    assert (await source.save(place)).bytes_copied < 5_000, "the headers of exports"

    await source.core.add(upload(0, picture("purple"), "purple"))
    changed = await source.save(place)

    manifest = (await place.manifest())[1]
    assert changed.bytes_copied < manifest.bytes / 2
    target = await empty(tmp_path / "target")
    await target.restore(place)
    assert await target.content() == await source.content()


async def test_a_backup_is_of_one_moment_and_pauses_the_sweeper(source: Suite, tmp_path: Path) -> None:
    before = await source.content()
    place = BackupPlace(new_store())
    reading = source.core.blobs.read
    deleted = False

    async def read(sha: str, rendition: Rendition) -> bytes:
        nonlocal deleted
        if not deleted:
            deleted = True
            await source.core.gallery.delete("gallery", list(COLORS))
            sweeping.append(asyncio.create_task(source.core.sweeper.sweep(time.time() + 60)))
            await asyncio.sleep(0)
        return await reading(sha, rendition)

    sweeping: list[asyncio.Task[int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source.core.blobs, "read", read)
        tally = await source.save(place)

    assert tally.images_missing == 0
    assert await sweeping[0] == 2, "the third image is in the other collection"
    target = await empty(tmp_path / "target")
    await target.restore(place)
    assert await target.content() == before


async def each_step(run: Callable[[Steps], Any]) -> int:
    """Run once for each step, stopped there; return the number of steps."""
    steps = Steps()
    await run(steps)
    for stop_at in range(1, steps.count + 1):
        steps = Steps()
        steps.stop_at = stop_at
        with pytest.raises(Stopped):
            await run(steps)
    return steps.count


async def test_a_backup_that_stops_anywhere_is_no_backup_and_is_continued(source: Suite, tmp_path: Path) -> None:
    content, number = await source.content(), 0

    async def stopped(steps: Steps) -> None:
        nonlocal number
        number += 1
        store = new_store()
        suite = await open_suite(tmp_path / "source" / "images", steps, source)
        counted = BackupPlace(steps.wrap(store, "put", "get", "delete"))
        try:
            await suite.save(counted)
        finally:
            place = BackupPlace(store)
            for backup_id in await place.ids():
                assert not await damages_of(place), backup_id
            await source.save(place)
            assert not await damages_of(place)
            if number % 10 == 0:
                target = await empty(tmp_path / f"target{number}")
                await target.restore(place)
                assert await target.content() == content

    assert await each_step(stopped) > 20


async def test_a_restore_that_stops_anywhere_is_continued(source: Suite, tmp_path: Path) -> None:
    place, content, number = BackupPlace(new_store()), await source.content(), 0
    await source.save(place)

    async def stopped(steps: Steps) -> None:
        nonlocal number
        number += 1
        target = await empty(tmp_path / f"target{number}", steps)
        try:
            await target.restore(place)
        except Stopped:
            visible = await target.content()
            assert all(visible[alias] in ([], content[alias]) for alias in visible)
            again = await open_suite(tmp_path / f"target{number}" / "images", before=target)
            if await again.content() != content or await again.state.read():  # otherwise only the answer was lost
                await again.restore(place)
            target = again
        else:
            if steps.stop_at:
                raise AssertionError
        assert await target.content() == content
        with pytest.raises(NotEmpty, match='"gallery" has 3 images'):
            await (await open_suite(tmp_path / f"target{number}" / "images", before=target)).restore(place)
        if steps.stop_at:
            raise Stopped

    assert await each_step(stopped) > 10


async def test_damage_is_found_and_nothing_becomes_visible(source: Suite, tmp_path: Path) -> None:
    store = new_store()
    place = BackupPlace(store)
    await source.save(place)
    objects = [each.key for each in store.list("objects/")]
    for number, key in enumerate(objects):
        whole = store.get(key)
        if number % 2:
            store.put(key, b"x" + whole[1:] if whole else b"x")
        else:
            store.delete([key])
        target = await empty(tmp_path / f"target{number}")

        with pytest.raises(BackupDamaged, match=key):
            await target.restore(place)

        assert await target.content() == {"images-gallery": []}
        assert any(key in damage for damage in await damages_of(place))
        store.put(key, whole)
    assert not await damages_of(place)


async def test_a_damaged_backup_is_listed_beside_the_others(source: Suite, tmp_path: Path) -> None:
    place = tmp_path / "place"
    backups = Backups(str(place), source.saving, source.restoring)
    damaged, whole = [[each async for each in backups.create("")][-1].backup_id for _ in range(2)]
    file = place / manifest_key(damaged)
    file.write_bytes(file.read_bytes()[:-1])

    listed = await BackupServicer(backups).ListBackups(pb.ListBackupsRequest(), None)

    assert [each.id for each in listed.backups] == [whole, damaged]
    assert (listed.backups[0].problem, listed.backups[0].image_count) == ("", 4)
    assert "The backup is damaged" in listed.backups[1].problem
    assert listed.backups[1].create_time.ToDatetime(UTC) == time_of(damaged)
    assert listed.backups[1].create_time.ToMilliseconds() <= listed.backups[0].create_time.ToMilliseconds()


async def test_pruning_keeps_what_the_newest_backups_need(source: Suite, tmp_path: Path) -> None:
    store = new_store()
    place = BackupPlace(store)
    await source.save(place)
    await source.core.gallery.delete("gallery", ["blue"])
    await source.save(place)

    pruned = await prune(place, 1, SoleProcess())

    assert len(pruned.backups) == 1
    assert sha256(picture("blue")) not in {each.key.rpartition("/")[2] for each in store.list()}
    assert not await damages_of(place)
    target = await empty(tmp_path / "target")
    await target.restore(place)
    assert await target.content() == await source.content()


async def test_pruning_ends_where_another_gateway_makes_the_changes(
    source: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_module, "_DELETED_AT_ONCE", 1)
    store, term = new_store(), Term(7, inf)
    place = BackupPlace(store)
    await source.save(place)
    await source.core.gallery.delete("gallery", ["blue"])
    newest = await source.save(place)
    before = {each.key for each in store.list()}
    delete = store.delete

    def delete_last(keys: Sequence[str]) -> None:
        delete(keys)
        if not keys[0].startswith("backups/"):
            term.end()  # while this process was suspended, for example

    monkeypatch.setattr(store, "delete", delete_last)
    with pytest.raises(OwnerChanged):
        await prune(place, 1, term)

    gone = before - {each.key for each in store.list()}
    assert sorted(each.partition("/")[0] for each in gone) in (["backups", "objects"], ["backups", "parts"])
    assert await place.ids() == [newest.backup_id]
    with pytest.raises(OwnerChanged):
        await prune(place, 1, term)
    assert before - {each.key for each in store.list()} == gone


async def test_a_missing_image_does_not_prevent_a_backup(source: Suite, tmp_path: Path) -> None:
    place = BackupPlace(new_store())
    folder = tmp_path / "source" / "images" / sha256(picture("blue"))[:2] / sha256(picture("blue"))[2:]
    (folder / "original").unlink()

    assert (await source.save(place)).images_missing == 1

    target = await empty(tmp_path / "target")
    await target.restore(place)
    assert len(target.core.index.indexes[target.core.index.aliases["images-gallery"]].items) == 3
    (folder / "original").write_bytes(picture("blue"))
    assert (await source.save(place)).images_missing == 0


async def test_a_thumbnail_that_a_backup_lacks_is_missing_after_a_restore(source: Suite, tmp_path: Path) -> None:
    place = BackupPlace(new_store())
    digest = sha256(picture("blue"))
    [thumbnail] = (tmp_path / "source" / "images" / digest[:2] / digest[2:]).glob("thumbnail-*")
    thumbnail.unlink()
    await source.save(place)
    target = await empty(tmp_path / "target")

    await target.restore(place)

    assert await target.core.blobs.read(digest, Rendition.ORIGINAL) == picture("blue")
    assert not await target.core.blobs.holds_thumbnail(digest)


async def test_a_late_failure_is_no_reason_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(progress, "_RETRY_SECONDS", 0.0)
    tally, attempts = Tally(), 0

    async def compare_all() -> None:
        nonlocal attempts
        attempts += 1
        tally.count(min(attempts, 2), copied=False)
        raise DependencyUnavailable("index")

    with pytest.raises(DependencyUnavailable):
        await progress.persistently(compare_all, tally)
    assert attempts == 3, "the third attempt came no further than the second"


async def test_nothing_is_deleted_after_a_deletion_was_cancelled() -> None:
    store = new_store()
    store.put("a", b"")
    store.put("b", b"")
    began, go_on = threading.Event(), threading.Event()
    delete = store.delete

    def slowly(keys: Sequence[str]) -> None:
        began.set()
        assert go_on.wait(10)
        delete(keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "delete", slowly)
        patch.setattr(place_module, "_DELETED_AT_ONCE", 1)
        deleting = asyncio.create_task(BackupPlace(store).delete(["a", "b"], SoleProcess()))
        await asyncio.to_thread(began.wait, 10)
        deleting.cancel()
        done, _ = await asyncio.wait([deleting], timeout=0.05)
        assert not done, "the thread is at work"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await deleting
        assert [each.key for each in store.list()] == ["b"]


async def test_a_service_that_starts_again_is_waited_for(source: Suite) -> None:
    place = BackupPlace(new_store())
    source.transfers.failures.append(DependencyUnavailable("index"))

    assert (await source.save(place)).backup_id


async def test_a_full_place_is_said_in_one_sentence(source: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store()
    written = 0

    def pipe(path: str, content: bytes) -> None:
        nonlocal written
        written += len(content)
        if written > 1_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(path, content)

    original = store._files.pipe_file
    monkeypatch.setattr(store._files, "pipe_file", pipe)
    with pytest.raises(BackupPlaceFull, match="is full"):
        await source.save(BackupPlace(store))

    assert not list(store.list("backups/"))


async def test_a_suite_that_is_not_empty_is_left_alone(source: Suite, tmp_path: Path) -> None:
    place = BackupPlace(new_store())
    await source.save(place)
    target = await empty(tmp_path / "target")
    await target.core.collections.create("zoo", "")
    with pytest.raises(NotEmpty, match='a collection "zoo"'):
        await target.restore(place)
    with pytest.raises(NotEmpty, match='"gallery" has 3 images'):
        await source.restore(place)


async def test_an_image_that_is_added_during_a_restore_is_not_lost(source: Suite, tmp_path: Path) -> None:
    place = BackupPlace(new_store())
    await source.save(place)
    target = await empty(tmp_path / "target")
    activate = target.core.embedder.activate_model

    async def add_first(model_id: str) -> Any:
        await target.core.add(upload(0, picture("purple"), "purple"))
        return await activate(model_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target.core.embedder, "activate_model", add_first)
        with pytest.raises(NotEmpty, match='"gallery" has 1 images'):
            await target.restore(place)

    assert len((await target.content())["images-gallery"]) == 1


@pytest.mark.parametrize("place", ["/etc", "../a", "a/../b", "/backups-else", "s3://other/x", ".hidden", "a//b"])
def test_places_outside_the_setting_are_refused(place: str) -> None:
    with pytest.raises(BackupPlaceRefused, match="SEMSEARCH_GATEWAY_BACKUPS"):
        open_place("/backups", place)


@pytest.mark.parametrize(
    ("root", "place", "opened"),
    [
        ("/backups", "", "/backups"),
        ("/backups/", "/backups", "/backups/"),
        ("/backups", "daily/1", "/backups/daily/1"),
        ("/backups", "/backups/daily", "/backups/daily"),
        ("memory://b/p", "memory://b/p/x", "memory://b/p/x"),
    ],
)
def test_places_lie_below_the_setting(root: str, place: str, opened: str) -> None:
    assert open_place(root, place).name == opened


async def test_only_one_change_runs_at_a_time(source: Suite, tmp_path: Path) -> None:
    with pytest.raises(BackupsOff):
        await Backups("", source.saving, source.restoring).list("")
    backups = Backups(str(tmp_path / "place"), source.saving, source.restoring)
    with pytest.raises(BackupNotFound):
        await anext(backups.restore("", ""))
    running = backups.create("")
    await anext(running)
    with pytest.raises(BackupUnderWay, match="A backup is in progress"):
        await backups.prune("", 1)
    await running.aclose()
    assert (await backups.prune("", 1)).backups == []
    assert [each async for each in backups.create("")][-1].backup_id
    assert len(await backups.list("")) == 1
    assert isinstance(ObjectStore(str(tmp_path / "place")).folder, Path)
