"""Put and read images in an object store, beside a folder.

    python -m benchmarks.image_stores s3://bucket/benchmark

The rounds of both alternate, so that other load on the machine affects each equally. What is put is left there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.collections.blobs import Blob, BlobStore, Rendition
from gateway.collections.folder_blobs import FolderBlobStore
from gateway.collections.object_blobs import ObjectBlobStore
from serving.object_store import ObjectStore

ORIGINAL_BYTES, THUMBNAIL_BYTES = 300_000, 10_000
Seconds = dict[str, list[float]]


async def measure(blobs: BlobStore, images: int, seconds: Seconds) -> None:
    """Add a round of measurements, in seconds of each image."""
    batch = []
    for _ in range(images):
        content = os.urandom(ORIGINAL_BYTES)
        batch.append(Blob(hashlib.sha256(content).hexdigest(), content, os.urandom(THUMBNAIL_BYTES)))
    begin = time.perf_counter()
    await blobs.put(batch)
    seconds.setdefault("put, in batches", []).append((time.perf_counter() - begin) / images)
    for name, rendition in (("read original", Rendition.ORIGINAL), ("read thumbnail", Rendition.THUMBNAIL)):
        for blob in batch:
            begin = time.perf_counter()
            await blobs.read(blob.sha256, rendition)
            seconds.setdefault(name, []).append(time.perf_counter() - begin)
    for blob in batch:
        begin = time.perf_counter()
        await blobs.read(blob.sha256, Rendition.THUMBNAIL)
        seconds.setdefault("read thumbnail again", []).append(time.perf_counter() - begin)


def main(
    url: Annotated[str, typer.Argument(help="The object store.")],
    rounds: Annotated[int, typer.Option(help="Rounds of each.")] = 5,
    images: Annotated[int, typer.Option(help="Images of a round.")] = 32,
) -> None:
    """Print milliseconds of each image: the median."""
    folder, objects = Seconds(), Seconds()
    with tempfile.TemporaryDirectory() as temporary:
        stores = (FolderBlobStore(Path(temporary)), folder), (ObjectBlobStore(ObjectStore(url), 2**26), objects)

        async def alternate() -> None:
            for _ in range(rounds):
                for store, seconds in stores:
                    await measure(store, images, seconds)

        asyncio.run(alternate())
    table = Table("milliseconds of an image", "folder", "object store")
    for name in folder:
        table.add_row(name, *(f"{1_000 * median(each[name]):.2f}" for each in (folder, objects)))
    Console().print(table)
    Console().print(f"{ORIGINAL_BYTES:,} bytes each; load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    typer.run(main)
