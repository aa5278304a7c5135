"""Suites over doubles that are backed up and restored, and that can be stopped at any step."""

from __future__ import annotations

import copy
import inspect
import pickle
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.backends.backup_sources import IndexPart, ModelFile, SnapshotIndex
from gateway.backends.refusals import IndexExists
from gateway.backends.vector_index import Item
from gateway.backups.manifest import stored
from gateway.backups.place import BackupPlace
from gateway.backups.progress import Tally
from gateway.backups.restore_state import RestoreState
from gateway.backups.restoring import Restoring
from gateway.backups.saving import Saving
from gateway.collections.blobs import Rendition
from gateway.collections.images import StoredImage
from gateway.collections.names import ALIAS_PREFIX
from serving.object_store import ObjectStore
from tests.unit.gateway.core import Core, open_core
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, ColorEmbedder, MemoryIndex, refusal

PART_ITEMS = 2
MODELS = {model.id: model for model in (MODEL, OTHER_MODEL)}
MODEL_FILES = {"manifest.json": b"{}", "words.txt": b"red\nblue\n"}


class Stopped(Exception):
    """The process was killed."""


class Steps:
    """Counts the calls of wrapped objects, and stops before one of them: after the one before it."""

    def __init__(self) -> None:
        self.stop_at = 0
        self.count = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.stop_at:
            raise Stopped

    def wrap(self, wrapped: Any, *names: str) -> Any:
        """Return an object whose calls are counted, or only those of some names."""
        return _Counted(self, wrapped, names)


class _Counted:
    def __init__(self, steps: Steps, wrapped: Any, names: Sequence[str]) -> None:
        self._steps, self._wrapped, self._names = steps, wrapped, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        if not callable(found) or (self._names and name not in self._names):
            return found
        if inspect.iscoroutinefunction(found):

            async def counted(*args: Any, **kwargs: Any) -> Any:
                self._steps.step()
                return await found(*args, **kwargs)

            return counted

        def called(*args: Any, **kwargs: Any) -> Any:
            self._steps.step()
            return found(*args, **kwargs)

        return called


class _Snapshot:
    log_bytes = 7
    damaged: Sequence[str] = ()

    def __init__(self, index: MemoryIndex) -> None:
        self._index = copy.deepcopy({"indexes": index.indexes, "aliases": index.aliases})
        self.indexes = [
            SnapshotIndex(name, each.definition.model_id, _aliases(index, name))
            for name, each in sorted(index.indexes.items())
        ]

    async def export(self, name: str) -> AsyncGenerator[IndexPart, None]:
        index = self._index["indexes"][name]
        yield IndexPart(pickle.dumps(index.definition), ())
        items = list(index.items.values())
        for start in range(0, len(items), PART_ITEMS):
            part = items[start : start + PART_ITEMS]
            yield IndexPart(pickle.dumps(part), [item.attributes for item in part])


def _aliases(index: MemoryIndex, name: str) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, target in index.aliases.items() if target == name))


class Transfers:
    """`IndexTransfer` and `ModelTransfer` over the doubles."""

    def __init__(self, index: MemoryIndex, embedder: ColorEmbedder) -> None:
        self._index = index
        self._embedder = embedder
        self.failures: list[Exception] = []

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[_Snapshot]:
        if self.failures:
            raise self.failures.pop()
        yield _Snapshot(self._index)

    async def import_index(self, name: str, parts: AsyncIterator[bytes]) -> None:
        first, *rest = [part async for part in parts]
        if name in self._index.indexes:
            raise IndexExists(refusal("INDEX_EXISTS", name))
        definition = pickle.loads(first)
        await self._index.create(definition)
        for part in rest:
            await self._index.upsert(name, definition.model_id, pickle.loads(part))

    async def list_files(self, model_id: str) -> Sequence[ModelFile]:
        return [ModelFile(name, len(each), stored(each).sha256) for name, each in MODEL_FILES.items()]

    async def read_file(self, model_id: str, name: str) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(MODEL_FILES[name]), 3):
            yield MODEL_FILES[name][start : start + 3]

    async def import_model(self, model_id: str, parts: Callable[[], AsyncIterator[tuple[str, bytes]]]) -> bool:
        if model_id in self._embedder.models:
            return False
        files: dict[str, bytes] = {}
        async for name, content in parts():
            files[name] = files.get(name, b"") + content
        assert files == MODEL_FILES
        self._embedder.models[model_id] = MODELS[model_id]
        return True


class Suite:
    """A core, and backups of it."""

    def __init__(self, core: Core, root: Path, steps: Steps) -> None:
        self.core = core
        self.transfers = Transfers(core.index, core.embedder)
        self.state = RestoreState(core.index.records)
        transfers = steps.wrap(self.transfers, "import_index", "import_model", "list_files")
        blobs = steps.wrap(core.blobs, "put", "read")
        self.saving = Saving(transfers, transfers, core.embedder, blobs, core.sweeper)
        self.restoring = Restoring(
            (transfers, transfers),
            core.embedder,
            steps.wrap(core.index, "set_alias", "delete"),
            blobs,
            core.collections,
            core.placements,
            core.writes,
            core.words,
            core.sweeper,
            steps.wrap(self.state, "write"),
        )

    async def save(self, place: BackupPlace) -> Tally:
        tally = Tally()
        await self.saving.run(place, tally)
        return tally

    async def restore(self, place: BackupPlace) -> Tally:
        tally = Tally()
        await self.restoring.run(place, *await place.manifest(), tally)
        return tally

    async def content(self) -> dict[str, list[tuple[str, str, bytes, bytes, bytes]]]:
        """Everything in all collections, in the order of lists."""
        found: dict[str, list[tuple[str, str, bytes, bytes, bytes]]] = {}
        for alias, name in sorted(self.core.index.aliases.items()):
            if alias.startswith(ALIAS_PREFIX):
                items = self.core.index.indexes[name].items.values()
                found[alias] = [
                    (
                        item.id,
                        item.attributes,
                        b"" if item.vector is None else item.vector.tobytes(),
                        *[await self.core.blobs.read(_sha256(item), each) for each in Rendition],
                    )
                    for item in items
                ]
        return found


def _sha256(item: Item) -> str:
    return StoredImage.from_item("", item).sha256


async def open_suite(root: Path, steps: Steps | None = None, before: Suite | None = None) -> Suite:
    """Open a suite on a folder; after `before` it is the same one, started again."""
    core = await open_core(
        root, embedder=before.core.embedder if before else None, index=before.core.index if before else None
    )
    return Suite(core, root, steps or Steps())


def new_store() -> ObjectStore:
    return ObjectStore(f"memory://{uuid.uuid4().hex}")
