"""The target that opens an index whose segment or manifest is damaged, and parses what is beside them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from index_service.definition import EngineKind, IndexDefinition
from index_service.engines.planning import PLAN_FILE, Plan, UnusablePlan
from index_service.errors import StoreTooNew
from index_service.items import NewItem, Upsert
from index_service.local.catalog import open_catalog
from index_service.local.connections import IdleConnections
from index_service.local.manifest import MANIFEST_FILE, Manifest, UnusableManifest
from index_service.local.recovery import recover
from index_service.local.segments import SEGMENTS_FOLDER, write_segment
from index_service.local.store import Store
from tests.fuzz.target import Target
from tests.unit.index_service.conftest import NEVER, random_units
from tests.unit.index_service.engines_in_process import annoy_in_process, engine_of

_ITEMS, _DIMENSION = 12, 4


class _Sound:
    """An index of one segment, and the content of its files."""

    def __init__(self) -> None:
        data = Path(tempfile.mkdtemp(prefix="semsearch-fuzz-")) / "index"
        with open_catalog(data, engine_of, NEVER) as catalog:
            index = catalog.create(IndexDefinition("items", _DIMENSION, "model", engine=EngineKind.ANNOY))
            vectors = random_units(1, _ITEMS, _DIMENSION)
            index.upsert(Upsert(tuple(NewItem(str(n), "{}", each) for n, each in enumerate(vectors)))).result()
        self.folder = data / "items"
        self.engine = annoy_in_process()
        self.store = Store.open(self.folder, IdleConnections())
        recovered = recover(self.folder, self.store, self.engine)
        record = write_segment(self.folder, EngineKind.ANNOY, self.engine, [recovered.snapshot.live], lambda _: None)
        self.written = Manifest(self.store.uid, (record,))
        self.written.write(self.folder)
        self.segment = self.folder / SEGMENTS_FOLDER / record.name
        self.kept = self.segment.rename(self.folder.parent / record.name)
        self.manifest = (self.folder / MANIFEST_FILE).read_bytes()
        self.files = sorted(path.name for path in self.kept.iterdir())

    def restore(self) -> None:
        """Bring the segment and the manifest back; the segment's files are links, so nothing may write into them."""
        shutil.rmtree(self.segment, ignore_errors=True)
        shutil.copytree(self.kept, self.segment, copy_function=os.link)
        (self.folder / MANIFEST_FILE).write_bytes(self.manifest)


@cache
def _sound() -> _Sound:
    return _Sound()


def open_damaged(content: bytes) -> None:
    """Open an index of which one file, chosen by the first byte, has any content; no item may be missing.

    If the first byte is 128 or more, the disk did it: the file keeps its size and all that is known about it, so that
    its checksum is not computed before it is used.
    """
    sound = _sound()
    sound.restore()
    paths = [*(sound.segment / name for name in sound.files), sound.folder / MANIFEST_FILE]
    first = content[0] if content else 0
    damaged = paths[first % 128 % len(paths)]
    damaged.unlink()
    if first >= 128 and damaged.parent == sound.segment:
        size = (sound.kept / damaged.name).stat().st_size
        damaged.write_bytes(content[1 : 1 + size].ljust(size, b"\0"))
        replace(sound.written, segments=(sound.written.segments[0].refreshed(sound.segment),)).write(sound.folder)
    else:
        damaged.write_bytes(content[1:])
    recovered = recover(sound.folder, sound.store, sound.engine)
    snapshot = recovered.snapshot
    rows = [part.rows[part.alive] for part in snapshot.parts]
    assert sorted(np.concatenate(rows).tolist()) == list(range(1, _ITEMS + 1))


def read_records(content: bytes) -> None:
    """Parse the manifest of an index whose checksum is right, and a segment's plan."""
    folder = Path(tempfile.gettempdir())
    (folder / PLAN_FILE).write_bytes(content)
    with suppress(UnusablePlan):
        Plan.read(folder)
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return
    if not isinstance(body, dict):
        return
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (folder / MANIFEST_FILE).write_text(json.dumps({**body, "checksum": checksum}))
    try:
        Manifest.read(folder)
    except (UnusableManifest, StoreTooNew):
        return


def _damaged() -> list[bytes]:
    sound = _sound()
    files = [*((sound.kept / name).read_bytes() for name in sound.files), sound.manifest]
    return [bytes([place + kept]) + content for place, content in enumerate(files) for kept in (0, 128)]


def _records() -> list[bytes]:
    sound = _sound()
    manifest = json.loads(sound.manifest)
    del manifest["checksum"]
    return [json.dumps(manifest).encode(), (sound.kept / PLAN_FILE).read_bytes()]


TARGETS = {"segment": Target(open_damaged, _damaged), "records": Target(read_records, _records)}
