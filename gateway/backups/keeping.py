"""Check backups against their checksums, and remove old ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from gateway.backups.errors import BackupDamaged
from gateway.backups.manifest import Manifest, StoredObject, manifest_key, object_key, part_key
from gateway.backups.place import BackupPlace
from gateway.backups.progress import Stage, Tally, at_once
from gateway.lease import Lease

MAX_DAMAGES = 100


@dataclass(frozen=True)
class Pruned:
    """What was removed: backups, objects, and the bytes of these."""

    backups: Sequence[str]
    objects: int
    bytes: int


async def verify(place: BackupPlace, manifest: Manifest, tally: Tally, damages: list[str]) -> None:
    """Compare all objects of a backup with their checksums; add up to `MAX_DAMAGES` problems to `damages`."""
    tally.stage, tally.bytes_total, tally.images_total = Stage.CHECKING, manifest.bytes, manifest.image_count

    def report(error: BackupDamaged) -> None:
        if len(damages) < MAX_DAMAGES:
            damages.append(str(error))

    async def check(each: tuple[StoredObject, str]) -> None:
        try:
            await place.get(*each)
        except BackupDamaged as error:
            report(error)
        tally.count(each[0].size, copied=False)

    await at_once(check, _objects(place, manifest, tally, report))


async def prune(place: BackupPlace, keep: int, lease: Lease) -> Pruned:
    """Remove all backups but the `keep` newest, and what none of the remaining ones names.

    A manifest goes first, and an object last, so that what is left of an interrupted call is whole. It takes some
    hundred bytes of memory for each object that stays.

    Raises:
        BackupDamaged: a manifest or a list of a backup that stays cannot be read; nothing was removed.
        OwnerChanged: this process is not the owner any more, so a backup of the next owner may count on the rest.
    """
    ids = await place.ids()
    dropped = ids[:-keep]
    objects: set[str] = set()
    parts: set[str] = set()
    for backup_id in ids[len(dropped) :]:
        _, manifest = await place.manifest(backup_id)
        async for each, _ in _objects(place, manifest, Tally(), _raise):
            objects.add(object_key(each.sha256))
        parts.update(part_key(part.items.sha256) for index in manifest.indexes for part in index.parts)
    await place.delete([manifest_key(each) for each in dropped], lease)
    unused_parts = [key async for key, _ in place.keys("parts/") if key not in parts]
    await place.delete(unused_parts, lease)
    unused = {key: size async for key, size in place.keys("objects/") if key not in objects}
    await place.delete(list(unused), lease)
    return Pruned(dropped, len(unused), sum(unused.values()))


def _raise(error: BackupDamaged) -> None:
    raise error


async def _objects(
    place: BackupPlace, manifest: Manifest, tally: Tally, damaged: Callable[[BackupDamaged], None]
) -> AsyncIterator[tuple[StoredObject, str]]:
    """Yield the objects of a backup, and what each is; call `damaged` for each list of images that cannot be read."""
    for model in manifest.models:
        for file in model.files:
            for piece in file.pieces:
                yield piece, f"part of {file.name} of the model {model.id}"
    for index in manifest.indexes:
        for part in index.parts:
            yield part.items, f"part of the index {index.name}"
            if part.images is None:
                continue
            what = f"a list of images of {index.name}"
            try:
                images = await place.images(part.images, what)
            except BackupDamaged as error:
                damaged(error)
                tally.count(part.images.size, copied=False)
                continue
            yield part.images, what
            for image in images:
                tally.images_done += 1
                if image.original is not None:
                    yield image.original, f"the original of the image {image.sha256}"
                if image.thumbnail is not None:
                    yield image.thumbnail, f"the thumbnail of the image {image.sha256}"
