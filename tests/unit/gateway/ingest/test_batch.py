"""Images that came together are answered together, whatever ends the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.collections.blobs import Blob
from gateway.errors import CollectionNotFound, StorageFull
from gateway.ingest.batch import add_batch
from gateway.ingest.ingest import IngestLimits
from tests.unit.gateway.core import open_core, upload
from tests.unit.gateway.doubles import picture

RED, BLUE, GREEN = picture("red"), picture("blue"), picture("green")


@pytest.mark.parametrize("room", [0, 1, 2])
async def test_a_full_disk_is_the_result_of_the_images_that_were_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    core = await open_core(tmp_path / "images", IngestLimits(batch_images=1))
    left = room
    put = core.blobs.put

    async def put_while_there_is_room(blobs: Sequence[Blob]) -> None:
        nonlocal left
        left -= len(blobs)
        if left < 0:
            raise StorageFull("No space left on device")
        await put(blobs)

    monkeypatch.setattr(core.blobs, "put", put_while_there_is_room)
    uploads = [upload(n, content, f"id-{n}") for n, content in enumerate((RED, BLUE, GREEN))]

    if room == 0:
        with pytest.raises(StorageFull):
            await add_batch(core.ingest, "gallery", uploads)
        return
    results = await add_batch(core.ingest, "gallery", uploads)

    assert [result.sequence for result in results] == [0, 1, 2]
    assert [type(result.error) for result in results] == [type(None)] * room + [StorageFull] * (3 - room)
    images, _ = await core.gallery.list_page("gallery", 10, "", None)
    assert [image.id for image in images] == [f"id-{n}" for n in range(room)]


async def test_a_batch_for_no_collection_fails(tmp_path: Path) -> None:
    core = await open_core(tmp_path / "images")
    with pytest.raises(CollectionNotFound):
        await add_batch(core.ingest, "nowhere", [upload(0, RED)])
