"""Changes the places of a collection's images; an image that loses its last place is deleted.

Each image is fetched just before it is changed, and its whole list of places is written. So repeating a change has no
effect, and the next run completes one that was interrupted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from semsearch.errors import NotFound
from semsearch.folders.gallery import Gallery
from semsearch.folders.places import NAMES, attributes_at, changed_places, places_of
from semsearch.folders.roots import Root
from semsearch.values import Image

_IMAGES_A_LOOKUP = 500
_CALLS_AT_ONCE = 8


@dataclass
class PlaceChange:
    """The paths that an image gains and loses in one root; `modified` has the files' times in ns, by path."""

    add: dict[str, int | None] = field(default_factory=dict)
    remove: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Changed:
    """The result for one hash: the places before, in all roots; `image_id` is "" if no image has that hash."""

    sha256: bytes
    image_id: str
    places: Collection[str]


def apply(client: Gallery, root: Root, changes: Mapping[bytes, PlaceChange]) -> Iterator[Changed]:
    """Apply changes, and yield the result of each. Raises `SemsearchError`."""
    pool = ThreadPoolExecutor(_CALLS_AT_ONCE)
    try:
        waiting = iter(changes.items())
        while batch := dict(islice(waiting, _IMAGES_A_LOOKUP)):
            yield from _apply_batch(client, root, batch, pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _apply_batch(
    client: Gallery, root: Root, changes: Mapping[bytes, PlaceChange], pool: ThreadPoolExecutor
) -> Iterator[Changed]:
    wanted = [sha256.hex() for sha256 in changes]
    images: dict[bytes, list[Image]] = {}
    for image in client.list_images(collection=root.collection, where={"image.sha256": wanted}):
        images.setdefault(bytes.fromhex(image.sha256), []).append(image)

    def change(sha256: bytes) -> tuple[Changed, list[str]]:
        return _change(client, root, sha256, images.get(sha256, ()), changes[sha256])

    emptied: list[str] = []
    done: list[Changed] = []
    for changed, without_place in pool.map(change, changes):
        emptied += without_place
        if without_place:
            done.append(changed)
        else:
            yield changed
    if emptied:
        client.delete_images(emptied, collection=root.collection)
    yield from done


def _change(
    client: Gallery, root: Root, sha256: bytes, images: Sequence[Image], change: PlaceChange
) -> tuple[Changed, list[str]]:
    """Change the images with one hash; return the result and the ids of images without any place left."""
    times = {root.place(path): time for path, time in change.add.items() if time is not None}
    remove = {root.place(path) for path in change.remove}
    emptied: list[str] = []
    places: set[str] = set()
    stored = ""
    for number, image in enumerate(images):
        old = places_of(image.attributes)
        add = [root.place(path) for path in change.add] if number == 0 else []
        new = changed_places(old, add, remove)
        places.update(old)
        if not new:
            emptied += [image.id] if old else []
        elif new != old:
            try:
                values = attributes_at(new, times, image.attributes)
                client.update_image(image.id, values, only=NAMES, collection=root.collection)
            except NotFound:  # another client has just deleted it
                continue
        stored = stored or image.id
    return Changed(sha256, stored, places), emptied
