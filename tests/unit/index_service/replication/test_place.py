"""What a place knows of its objects, whatever its store does."""

from __future__ import annotations

from index_service.replication.place import Place
from tests.unit.index_service.replication.stored_objects import StoredObjects


def test_what_a_removal_that_failed_may_have_deleted_is_stored_again() -> None:
    objects = StoredObjects()
    place = Place(objects)
    contents = [b"one", b"two"]
    blobs = [place.put(content) for content in contents]
    with objects.stopping_at(0, after=True):  # one of both is deleted
        place.remove_unused([], 0.0)
    assert len(objects.objects) == 1
    assert not any(place.has(blob) for blob in blobs)
    assert [place.get(place.put(content)) for content in contents] == contents
    assert all(place.has(blob) for blob in blobs)


def test_what_a_removal_that_failed_has_left_is_removed_by_the_next() -> None:
    objects = StoredObjects()
    place = Place(objects)
    kept = place.put(b"kept")
    for content in (b"one", b"two", b"three"):
        place.put(content)
    with objects.stopping_at(0, after=True):
        place.remove_unused([kept.sha256], 0.0)
    assert len(objects.objects) == 3
    again = place.put(b"two")
    place.remove_unused([kept.sha256, again.sha256], 0.0)
    assert (place.get(kept), place.get(again)) == (b"kept", b"two")
    assert len(objects.objects) == 2
