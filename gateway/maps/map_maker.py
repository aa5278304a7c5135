"""Computes the map of one collection.

1. The vectors are copied from the index to a file, page by page.
2. A process computes the principal places, then those by neighbours (`computation`). Where the collection has no map
   yet, the first is shown while the second is computed.
3. The map is written: the commit point. Its regions then get their words from the words index.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gateway.backends.embedding import Vector
from gateway.backends.vector_index import IndexInfo, VectorIndex
from gateway.errors import MapNotStored, WordsNotReady
from gateway.maps.computation import Computed, compute
from gateway.maps.computing import VECTORS
from gateway.maps.layouts import can_be_neighborly
from gateway.maps.map_files import MapFiles, MapHeader, Region, StoredMap
from gateway.maps.map_run import MapRun, Stage
from gateway.search.words import WordsIndex

_PAGE = 1_000
_WORDS = 3
# Among these, a region can find a first word that no larger region has.
_WORD_CANDIDATES = 8
_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class MapLimits:
    """The resources of the process that computes a map."""

    threads: int = 1
    memory_bytes: int = 4 * 2**30


class MapMaker:
    """Computes one map at a time; holds `writing` while it changes a map's files."""

    def __init__(
        self, index: VectorIndex, words: WordsIndex, files: MapFiles, limits: MapLimits, writing: asyncio.Lock
    ) -> None:
        self._index = index
        self._words = words
        self._files = files
        self._limits = limits
        self._writing = writing

    async def make(self, run: MapRun, info: IndexInfo) -> None:
        """Compute the map of an index and write it, and tell `run` how far it is.

        Raises:
            IndexNotFound: the index was deleted meanwhile.
            MapFailed: the map cannot be computed.
            MapNotStored: it cannot be written.
        """
        scratch = self._files.scratch()
        ids, cursor, dimension = await self._copy_vectors(run, info, scratch)
        existing = await asyncio.to_thread(self._files.read_header, info.name)
        final = not can_be_neighborly(len(ids))
        async with aclosing(compute(scratch, dimension, self._limits.threads, self._limits.memory_bytes)) as steps:
            async for step in steps:
                if not isinstance(step, Computed):
                    run.advance(Stage[step.stage.upper()], step.fraction)
                elif final or step.neighborly or existing is None:
                    stored = _stored(step, info, ids, cursor, final=final or step.neighborly)
                    async with self._writing:
                        await asyncio.to_thread(self._files.write, info.name, stored)
                    run.show(stored.header.revision)
        await self._find_words(run, info)

    async def _copy_vectors(self, run: MapRun, info: IndexInfo, scratch: Path) -> tuple[list[str], str, int]:
        """Copy an index's vectors to a file; return the items' ids, the last page's token and the dimension."""
        ids: list[str] = []
        cursor = token = ""
        dimension = 1
        await asyncio.to_thread(_renew, scratch)
        with (scratch / VECTORS).open("wb") as file:
            while True:
                items, token = await self._index.list_items(info.name, page_size=_PAGE, page_token=cursor, vectors=True)
                vectors = [each.vector for each in items if each.vector is not None]
                ids += [each.id for each in items]
                if vectors:
                    dimension = len(vectors[0])
                    await asyncio.to_thread(_append, file, vectors)
                run.advance(Stage.READING, len(ids) / max(info.item_count, len(ids), 1))
                if not token:
                    return ids, cursor, dimension
                cursor = token

    async def _find_words(self, run: MapRun, info: IndexInfo) -> None:
        header = await asyncio.to_thread(self._files.read_header, info.name)
        regions = header.regions if header else ()
        words: list[tuple[str, ...]] = []
        for region in regions:
            run.advance(Stage.WORDS, len(words) / len(regions))
            candidates = await self._words_of(region, info.model_id)
            words.append(_own_first(candidates, {each[0] for each in words if each})[:_WORDS])
        async with self._writing:
            await asyncio.to_thread(self._files.change_words, info.name, words)
        run.show(header.revision if header else "")

    async def _words_of(self, region: Region, model_id: str) -> tuple[str, ...]:
        while True:
            try:
                found = await self._words.nearest_tags(region.mean, _WORD_CANDIDATES, model_id)
            except WordsNotReady:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return tuple(each.id for each in found)


def _stored(computed: Computed, info: IndexInfo, ids: list[str], cursor: str, *, final: bool) -> StoredMap:
    regions = computed.regions
    header = MapHeader(
        revision=secrets.token_hex(8),
        model_id=info.model_id,
        create_time=datetime.now(UTC),
        neighborly=computed.neighborly,
        final=final,
        cursor=cursor,
        computed_count=len(ids),
        added_count=0,
        deleted_count=0,
        regions=tuple(
            Region((), float(x), float(y), int(count), ids[row], mean)
            for count, (x, y), mean, row in zip(
                regions.counts, regions.middles, regions.means, regions.rows, strict=True
            )
        ),
    )
    return StoredMap(header, ids, computed.places)


def _own_first(words: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    """Move the first word that is not taken to the front, so that two regions of dogs are "dog" and "puppy"."""
    own = next((word for word in words if word not in taken), None)
    return words if own is None else (own, *(word for word in words if word != own))


def _renew(folder: Path) -> None:
    """Create a folder anew; raises `MapNotStored`."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise MapNotStored(error.strerror or str(error)) from error


def _append(file: BinaryIO, vectors: Sequence[Vector]) -> None:
    """Write vectors to a file; raises `MapNotStored`."""
    try:
        file.write(np.stack(vectors).astype("<f4", copy=False).tobytes())
    except OSError as error:
        raise MapNotStored(error.strerror or str(error)) from error
