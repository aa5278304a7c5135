"""Measure counts of matches and lists by time in a large collection: `python -m benchmarks.counts --images 1000000`.

The index is a real process; the gateway's client runs in this one. Images have random vectors with a common part, so
that cosines are spread as those of photos and words are (mean 0.03, deviation 0.06), and four of five have a time.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from google.protobuf.struct_pb2 import Value
from semsearch.v1.query_pb2 import Condition, Filter

from benchmarks.service_process import running
from gateway.backends.embedding import Logistic, PhotoMetadata, Vector
from gateway.backends.index_client import IndexClient
from gateway.backends.vector_index import Engine, Item, Neighborhood, NewIndex
from gateway.collections.images import TAKEN_TIME, StoredImage
from gateway.search.counts import CUTS
from gateway.search.cuts import farthest
from serving.channels import Channels

_NAME, _MODEL, _DIMENSION = "photos", "random", 300
_BATCH, _PAGE, _REPEATS = 1_000, 100, 7
_MESSAGE_BYTES = 64 * 2**20
_CURVE = Logistic(20.0, -3.0)
_CANON = Filter(must=[Condition(field="image.camera", equals=Value(string_value="Canon"))])


def main(
    images: Annotated[int, typer.Option(min=1_000, help="Number of images.")] = 100_000,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Print how long counts and pages take, in milliseconds (median)."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_measure(images, Path(folder)))
    print(json.dumps(figures, indent=2))
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


async def _measure(images: int, folder: Path) -> dict[str, float]:
    with running("index_service", folder) as service:
        async with Channels(_MESSAGE_BYTES).open(service.address) as channel:
            index = IndexClient(channel)
            # The engine does not matter: counts and lists compare all vectors.
            indexed = ("image.sha256", TAKEN_TIME)
            await index.create(NewIndex(_NAME, _DIMENSION, _MODEL, Engine.EXACT, indexed))
            await index.load(_NAME, _MODEL, _batches(images))
            await index.optimize(_NAME)
            return await _timed(index, _vectors(np.random.default_rng(1), 1)[0])


async def _timed(index: IndexClient, query: Vector) -> dict[str, float]:
    cuts = sorted({cut for cut in (farthest(_CURVE, each) for each in CUTS) if cut is not None})

    async def count(filter_: Filter | None = None) -> tuple[int, Sequence[int]]:
        return await index.count(_NAME, near=(_MODEL, query), distances=cuts, filter_=filter_)

    async def page(distance: float, token: str = "", filter_: Filter | None = None) -> str:
        near = Neighborhood(query, _MODEL, distance)
        _, following = await index.list_within(
            _NAME, near, descending_by=TAKEN_TIME, page_size=_PAGE, page_token=token, filter_=filter_
        )
        return following

    total, above = await count()
    figures: dict[str, float] = {"images": total}
    figures["count_ms"] = await _median_ms(count)
    figures["count_filtered_ms"] = await _median_ms(partial(count, _CANON))
    figures["count_of_filter_ms"] = await _median_ms(lambda: index.count(_NAME, filter_=_CANON))
    for share in (0.001, 0.1, 1.0):
        place = min(range(len(cuts)), key=lambda number: abs(above[number] - share * total))
        figures[f"newest_of_{above[place]}_ms"] = await _median_ms(partial(page, cuts[place]))
        middle = await page(cuts[place])
        figures[f"newest_of_{above[place]}_next_page_ms"] = await _median_ms(partial(page, cuts[place], middle))
    figures["newest_of_all_filtered_ms"] = await _median_ms(partial(page, 2.0, "", _CANON))
    figures["list_newest_ms"] = await _median_ms(
        lambda: index.list_items(_NAME, page_size=_PAGE, descending_by=TAKEN_TIME)
    )
    figures["search_exact_page_ms"] = await _median_ms(lambda: index.search(_NAME, query, _PAGE, _MODEL))
    return figures


async def _median_ms(call: Callable[[], Awaitable[object]]) -> float:
    """Return the median; infinity if a call takes longer than calls of the gateway may (10 s)."""
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        try:
            await call()
        except TimeoutError:
            return math.inf
        seconds.append(time.perf_counter() - start)
    return round(1_000 * statistics.median(seconds), 1)


def _vectors(random: np.random.Generator, count: int) -> Vector:
    vectors = random.normal(size=(count, _DIMENSION))
    vectors[:, 0] += 3.0
    unit: Vector = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


async def _batches(images: int) -> AsyncIterator[list[Item]]:
    random = np.random.default_rng(0)
    start = datetime(2004, 1, 1, tzinfo=UTC)
    for first in range(0, images, _BATCH):
        vectors = _vectors(random, _BATCH)
        minutes = random.integers(0, 20 * 365 * 24 * 60, size=_BATCH).tolist()
        items = []
        for number, (vector, minute) in enumerate(zip(vectors, minutes, strict=True), first):
            taken = "" if number % 5 == 0 else (start + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S")
            photo = PhotoMetadata(taken, "Canon" if number % 4 else "Nikon")
            sha256 = f"{number:064x}"
            image = StoredImage(sha256, _NAME, {}, sha256, "image/jpeg", 3_000_000, 4_000, 3_000, start, photo)
            items.append(Item(sha256, image.item_attributes(), vector))
        yield items


if __name__ == "__main__":
    typer.run(main)
