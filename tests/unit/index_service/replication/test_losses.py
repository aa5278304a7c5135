"""What a replica and a writer do when objects of the place, or writers, are not as they should be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import CheckReport
from index_service.local import store
from index_service.local.catalog import Catalog
from index_service.replication.clock import Sightings
from index_service.replication.errors import EarlierWriter, NotTheWriter, PlaceDamaged
from index_service.replication.following import Follower, open_follower
from index_service.replication.place import HEAD, Place
from index_service.replication.publishing import Publisher, Terms
from index_service.replication.records import Beat, Blob, Head
from serving.object_store import ObjectMissing
from tests.unit.index_service.conftest import OpenCatalog, fill, found_ids
from tests.unit.index_service.engines_in_process import engine_of
from tests.unit.index_service.replication.stored_objects import StoredObjects

OpenReplica = Callable[[], Follower]


@pytest.fixture
def objects() -> StoredObjects:
    return StoredObjects()


@pytest.fixture
def open_replica(objects: StoredObjects, tmp_path: Path) -> OpenReplica:
    stack = ExitStack()

    def reopen() -> Follower:
        stack.close()
        return stack.enter_context(open_follower(Place(objects), tmp_path / "replica", engine_of))

    return reopen


def publisher(objects: StoredObjects, catalog: Catalog, grace: float = 600.0) -> Publisher:
    return Publisher(Place(objects), catalog, "writer:1", Terms(grace_seconds=grace))


def create(catalog: Catalog, count: int = 20) -> None:
    fill(catalog.create(IndexDefinition("photos", 4, "model", engine=EngineKind.HNSW)), count)


def lose(objects: StoredObjects, key: str) -> None:
    del objects.objects[key]


def cut(objects: StoredObjects, key: str) -> None:
    objects.objects[key] = objects.objects[key][:-1]


@pytest.mark.parametrize("damage", [lose, cut])
def test_a_writer_publishes_anew_what_the_place_has_lost(
    open_data: OpenCatalog,
    open_replica: OpenReplica,
    objects: StoredObjects,
    damage: Callable[[StoredObjects, str], None],
) -> None:
    catalog = open_data()
    create(catalog)
    catalog.get("photos").optimize(lambda _done, _total: None).result()
    first = publisher(objects, catalog)
    first.beat()
    first.upkeep()
    first.beat()
    every = [key for key in objects.objects if key != HEAD]
    for key in every:
        damage(objects, key)
        replica = open_replica()
        again = publisher(objects, catalog)
        again.beat()
        again.upkeep()
        again.beat()
        replica.poll()
        index = replica.catalog.get("photos")
        assert index.stats().item_count == 20
        assert len(found_ids(index, np.array([1, 0, 0, 0], dtype=np.float32), 20)) == 20
        replica.close()


@pytest.mark.parametrize(("damage", "error"), [(lose, ObjectMissing), (cut, PlaceDamaged)])
def test_a_replica_keeps_what_it_has_if_an_object_is_wrong(
    open_data: OpenCatalog,
    open_replica: OpenReplica,
    objects: StoredObjects,
    damage: Callable[[StoredObjects, str], None],
    error: type[Exception],
) -> None:
    catalog, replica = open_data(), open_replica()
    create(catalog)
    writer = publisher(objects, catalog)
    writer.beat()
    replica.poll()
    before = set(objects.objects)
    fill(catalog.get("photos"), 5, first=20)
    writer.beat()
    for key in set(objects.objects) - before:
        kept = dict(objects.objects)
        damage(objects, key)
        with pytest.raises(error):
            replica.poll()
        assert replica.catalog.get("photos").stats().item_count == 20
        objects.objects = kept
    replica.poll()
    assert replica.catalog.get("photos").stats().item_count == 25


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize("damaged", ["store.sqlite", "segments/*/vectors.npy", "manifest.json"])
def test_damaged_local_files_are_fetched_again(
    open_data: OpenCatalog,
    open_replica: OpenReplica,
    objects: StoredObjects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damaged: str,
    is_small: bool,
) -> None:
    if not is_small:  # checked beside the polls
        monkeypatch.setattr(store, "_SMALL_BYTES", 0)
    catalog = open_data()
    create(catalog, 500)
    catalog.get("photos").optimize(lambda _done, _total: None).result()
    writer = publisher(objects, catalog)
    writer.beat()
    writer.upkeep()
    writer.beat()
    replica = open_replica()
    replica.poll()
    replica.close()
    (file,) = (tmp_path / "replica").glob(f"*/{damaged}")
    content = file.read_bytes()
    half = len(content) // 2
    status = file.stat()
    file.write_bytes(content[:half] + bytes(len(content) // 4) + content[half + len(content) // 4 :])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a disk does that loses bits
    replica = open_replica()
    replica.poll()
    while replica.is_waiting:
        replica.poll()
    index = replica.catalog.get("photos")
    assert list(index.check())[-1] == CheckReport((), 500, 1)
    stats = index.stats()
    assert (stats.segment_row_count, stats.repairs) == (500, ())


def test_replicas_follow_a_writer_that_restarts_and_fetch_anew_after_a_copy_was_restored(
    open_data: OpenCatalog, open_replica: OpenReplica, objects: StoredObjects, data_folder: Path, tmp_path: Path
) -> None:
    replica = open_replica()

    def published(count: int) -> Path:
        """Open the folder as a writer, add an item, and return the replica's folder of the index."""
        catalog = open_data()
        fill(catalog.get("photos"), 1, first=count)
        publisher(objects, catalog).beat()
        replica.poll()
        index = replica.catalog.get("photos")
        assert index.stats().item_count == count + 1
        return index.folder

    create(open_data())
    first = published(20)
    assert published(21) == first
    open_data()  # and so close the last one
    shutil.copytree(data_folder, tmp_path / "copy")
    assert published(22) == first
    open_data()
    shutil.rmtree(data_folder)
    (tmp_path / "copy").rename(data_folder)
    assert published(22) != first


def test_the_later_of_two_writers_publishes(
    open_data: OpenCatalog, open_replica: OpenReplica, objects: StoredObjects
) -> None:
    catalog, replica = open_data(), open_replica()
    create(catalog)
    earlier, later = publisher(objects, catalog, grace=0), publisher(objects, catalog)
    earlier.beat()
    old_head = objects.objects[HEAD]
    later.beat()
    kept = set(objects.objects)
    with pytest.raises(NotTheWriter):
        earlier.upkeep()
    with pytest.raises(NotTheWriter):
        earlier.beat()
    earlier.upkeep()
    assert set(objects.objects) >= kept  # though the earlier one needs none of the later one's
    replica.poll()
    objects.objects[HEAD] = old_head  # it was on its way when the later one began
    with pytest.raises(EarlierWriter):
        replica.poll()
    later.beat()
    replica.poll()


def test_only_what_changed_is_stored_and_unused_objects_go_after_a_grace(
    open_data: OpenCatalog, objects: StoredObjects
) -> None:
    catalog = open_data()
    create(catalog, 2_000)
    writer = publisher(objects, catalog, grace=0)
    writer.beat()
    before = dict(objects.objects)
    fill(catalog.get("photos"), 1, first=2_000)
    writer.beat()
    added = {key: content for key, content in objects.objects.items() if key not in before}
    assert len(added) == 3  # the change, the manifest and the root
    assert sum(map(len, added.values())) < 2_000
    catalog.delete("photos")
    writer.beat()
    writer.upkeep()
    assert len(objects.objects) == 2  # the head and the root


def test_an_age_is_counted_from_a_moment_at_which_nothing_was_missing() -> None:
    def head(number: int, after: int, term: int = 5) -> Head:
        return Head.model_validate(
            {
                "format_version": 1,
                "beat": Beat(term, "w", number),
                "after": after,
                "root": Blob(sha256="", size=0),
                "address": "",
                "time": "2026-01-01T00:00:00Z",
            }
        )

    seen = Sightings()
    for number, requested in ((1, 10.0), (1, 11.0), (2, 12.0), (3, 13.0)):
        seen.add(Beat(5, "w", number), requested)
    # Beat 2 was stored after the request at 11.0, which found beat 1. Beat 3 began after that.
    assert seen.held_at(head(3, after=2)) == 11.0
    # Beat 2 may have failed: only beat 1 was surely stored before 3 began, and no request found less than 1.
    assert seen.held_at(head(3, after=1)) is None
    seen.add(Beat(6, "w", 1), 14.0)
    assert seen.held_at(head(1, after=0, term=6)) is None
    seen.add(Beat(6, "w", 2), 15.0)
    assert seen.held_at(head(2, after=1, term=6)) == 13.0
