"""Measure a search for duplicates in a large collection: `python -m benchmarks.duplicates.large --images 100000`.

The index is a real process; the gateway's part runs in this one. Images have random hashes and vectors; a tenth are
copies, whose hashes and vectors differ a little.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.index.memory import Memory
from benchmarks.service_process import running
from gateway.backends.embedder_client import EmbedderClient
from gateway.backends.embedding import Vector
from gateway.backends.index_client import IndexClient
from gateway.backends.models import ModelCatalog
from gateway.backends.vector_index import Engine, Item, NewIndex
from gateway.collections.duplicates import Duplicates
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.collections.gallery import Gallery
from gateway.collections.image_collections import ImageCollections
from gateway.collections.images import StoredImage
from gateway.collections.names import alias_of
from gateway.collections.placements import Placements
from gateway.collections.writes import CollectionWrites
from serving.channels import Channels

_COLLECTION, _MODEL, _DIMENSION = "photos", "random", 300
_BATCH = 1_000
_FLIPPED_BITS = 6
_MESSAGE_BYTES = 64 * 2**20
_LOOK_SECONDS = 0.01


def main(
    images: Annotated[int, typer.Option(min=10, help="Number of images.")] = 100_000,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Print the search's duration, the number of groups it finds, and the memory of the gateway's part."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_measure(images, Path(folder)))
    print(json.dumps(figures, indent=2))
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


async def _measure(images: int, folder: Path) -> dict[str, float]:
    with running("index_service", folder) as service:
        async with Channels(_MESSAGE_BYTES).open(service.address) as channel:
            index = IndexClient(channel)
            await index.create(NewIndex(_COLLECTION, _DIMENSION, _MODEL, Engine.EXACT))
            await index.load(_COLLECTION, _MODEL, _batches(images))
            await index.set_alias(alias_of(_COLLECTION), _COLLECTION)
            placements, writes, blobs = Placements(index), CollectionWrites(), FolderBlobStore(folder / "images")
            gallery = Gallery(index, blobs, placements, writes)
            models = ModelCatalog(EmbedderClient(channel))  # never called
            collections = ImageCollections(index, blobs, models, placements, writes)
            with _Peak() as peak:
                began, worked, groups, copies, read = time.perf_counter(), time.process_time(), 0, 0, 0.0
                async for found in Duplicates(index, gallery, collections).find(_COLLECTION):
                    groups += len(found.groups)
                    copies += sum(map(len, found.groups)) - len(found.groups)
                    read = read or (found.done >= images) * (time.perf_counter() - began)
                seconds, worked = time.perf_counter() - began, time.process_time() - worked
    return {
        "images": images,
        "seconds": round(seconds, 1),
        "of_which_reading": round(read, 1),
        "processor_seconds_here": round(worked, 1),
        "groups": groups,
        "copies": copies,
        "peak_megabytes": round(peak.megabytes),
    }


async def _batches(images: int) -> AsyncIterator[list[Item]]:
    """Yield the images; the last tenth are copies of the first, with a few flipped bits and a nearby vector."""
    copies = images // 10
    for start in range(0, images, _BATCH):
        yield [_item(number, number - (images - copies)) for number in range(start, min(start + _BATCH, images))]


def _item(number: int, copy_of: int) -> Item:
    random = np.random.default_rng(number if copy_of < 0 else copy_of)
    looks = int.from_bytes(random.bytes(32), "big")
    vector: Vector = random.normal(size=_DIMENSION).astype(np.float32)
    if copy_of >= 0:
        for bit in random.choice(256, _FLIPPED_BITS, replace=False).tolist():
            looks ^= 1 << bit
        vector += random.normal(scale=0.3, size=_DIMENSION).astype(np.float32)
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    size = 4_000_000 if copy_of < 0 else 400_000
    image = StoredImage(
        sha256, _COLLECTION, {"path": f"2026/01/{number:08}.jpg"}, sha256, "image/jpeg", size, 4_000, 3_000,
        datetime(2026, 1, 1, tzinfo=UTC), perceptual_hash=f"{looks:064x}",
    )  # fmt: skip
    return Item(sha256, image.item_attributes(), vector / np.linalg.norm(vector))


class _Peak:
    """The peak of the process's own memory beyond that at the start of a `with` block."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch)

    def __enter__(self) -> _Peak:
        self._before = Memory.of()
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if grown := Memory.since(self._before):
                self.megabytes = max(self.megabytes, grown.own)


if __name__ == "__main__":
    typer.run(main)
