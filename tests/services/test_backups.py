"""Backups of real processes: of one moment while a writer goes on and services are killed, and restored exactly."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from semsearch import Client, SemsearchError, ServerFailed, Upload, WrongState
from semsearch.index.v1 import index_service_pb2 as index_pb

from gateway.backups.place import BackupPlace
from serving.object_store import ObjectStore
from tests.bundles import write_test_bundle
from tests.services.client_stack import semsearch
from tests.services.whole_suite import WholeSuite, whole_suite
from tests.unit.gateway.doubles import picture

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "back-up.md"
COLLECTIONS = ("first", "second")
IMAGES = 40
DEADLINE = 120.0
State = dict[str, dict[str, int]]


def patiently(call: Callable[[], Any]) -> Any:
    """Repeat a call until services that were killed are back."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return call()
        except SemsearchError:
            if time.monotonic() > deadline:
                raise


def steps() -> Iterator[tuple[str, str, int]]:
    """Yield changes without end: what is done, in which collection, and a number; each collection in turn."""
    for number in itertools.count(IMAGES):
        for what in ("add", "update", "delete"):
            for collection in COLLECTIONS:
                yield what, collection, number


class Writer:
    """Makes the changes of `steps`, one after the other, and counts those that were acknowledged."""

    def __init__(self, address: str) -> None:
        self._client = Client(address)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged = 0
        self.failure: BaseException | None = None

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(2 * DEADLINE)
        self._client.close()

    def _run(self) -> None:
        try:
            for what, collection, number in steps():
                if self._ended.is_set():
                    return
                patiently(lambda: self._do(what, collection, number))  # noqa: B023 — called at once
                self.acknowledged += 1
        except BaseException as error:  # noqa: BLE001 — reported by the test
            self.failure = error

    def _do(self, what: str, collection: str, number: int) -> None:
        if what == "add":
            [result] = self._client.index_batch([image(number)], collection=collection)
            if result.error is not None:
                raise result.error
        elif what == "update":
            self._client.update_image(name(number - 1), {"n": number}, collection=collection)
        else:
            self._client.delete_images([name(number - IMAGES)], collection=collection)


def name(number: int) -> str:
    return f"image-{number:05}"


def image(number: int) -> Upload:
    color = (number * 7 % 256, number * 31 % 256, number * 101 % 256)
    return Upload(picture(color, seed=number), name(number), {"n": 0})


def state_after(count: int) -> State:
    """What the collections have after that many changes."""
    state: State = {collection: {name(each): 0 for each in range(IMAGES)} for collection in COLLECTIONS}
    for what, collection, number in itertools.islice(steps(), count):
        if what == "add":
            state[collection][name(number)] = 0
        elif what == "update":
            state[collection][name(number - 1)] = number
        else:
            state[collection].pop(name(number - IMAGES))
    return state


def state_in(backups: Path, backup_id: str) -> State:
    """What the collections have in a backup; check that it has the images too."""

    async def read() -> State:
        place = BackupPlace(ObjectStore(str(backups)))
        _, manifest = await place.manifest(backup_id)
        assert manifest.missing_images == 0
        state: State = {}
        for index in manifest.indexes:
            items: dict[str, int] = {}
            for part in index.parts:
                piece = index_pb.ExportPiece.FromString(await place.get(part.items, "a part"))
                for item in piece.items.items:
                    items[item.id] = json.loads(item.attributes)["user"]["n"]
            for alias in index.aliases:
                state[alias.removeprefix("images-")] = items
        del state["gallery"]
        return state

    return asyncio.run(read())


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backups")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The model of the suite that is saved, and another one."""
    folder = tmp_path_factory.mktemp("bundles")
    one, other = (write_test_bundle(folder, seed=seed, name=f"model{seed}", tflite=True) for seed in (1, 2))
    return one, other


@pytest.fixture(scope="module")
def source(backups: Path, bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSuite]:
    with whole_suite(tmp_path_factory.mktemp("source"), backups, bundles[0]) as suite:
        with Client(suite.address) as client:
            for collection in COLLECTIONS:
                client.create_collection(collection)
                for start in range(0, IMAGES, 20):
                    client.index_batch([image(each) for each in range(start, start + 20)], collection=collection)
        yield suite


def saved(suite: WholeSuite, victim: str) -> str:
    """Make a backup, in the middle of which a service is killed and started again; return its id."""
    with Client(suite.address) as client:
        progress = client.create_backup()
        next(progress)
        suite.kill_and_start(victim)

        def finished() -> str:
            # The first call goes on, unless the gateway was killed: then the next one does.
            nonlocal progress
            try:
                last = list(progress)[-1]
            except (SemsearchError, IndexError):
                progress = client.create_backup()
                raise
            assert last.backup is not None
            return last.backup.id

        backup_id: str = patiently(finished)
        return backup_id


def test_backups_under_writes_and_kills_are_of_one_moment(source: WholeSuite, backups: Path) -> None:
    found: list[tuple[int, str, int]] = []
    with Writer(source.address) as writer:
        for victim in ("index", "embedder", "gateway"):
            before = writer.acknowledged
            backup_id = saved(source, victim)
            found.append((before, backup_id, writer.acknowledged + 1))

    assert writer.failure is None
    assert writer.acknowledged > 12
    for before, backup_id, after in found:
        state = state_in(backups, backup_id)
        assert any(state == state_after(count) for count in range(before, after + 1)), (before, after, state)


def commands(*, before: str = "", after: str = "") -> list[list[str]]:
    """The commands of the guide, before or after a heading."""
    text = GUIDE.read_text(encoding="utf-8")
    part = text.partition(before)[0] if before else text.partition(after)[2]
    return [shlex.split(line) for line in re.findall(r"^\$ semsearch (.*)$", part, re.MULTILINE)]


def everything(client: Client) -> dict[str, Any]:
    """What a caller sees of a suite."""
    # An imported index has other bytes on disk.
    collections = [replace(each, index_bytes=0) for each in client.list_collections()]
    seen: dict[str, Any] = {"model": client.get_model().id, "collections": collections}
    for collection in COLLECTIONS:
        images = [*client.list_images(collection=collection)]
        some = [each.id for each in images[::10]]
        seen[collection] = (
            images,
            [[*client.search_by_image(each, collection=collection, min_relevance=0)] for each in some],
            [*client.search_by_text("red", collection=collection, min_relevance=0)],
            [[*client.tag_image([each], collection=collection, min_relevance=0)] for each in some],
            [client.download_image(each, collection=collection, thumbnail=True) for each in some],
            [client.download_image(each, collection=collection) for each in some],
        )
    return seen


def test_a_restored_suite_answers_as_before(
    source: WholeSuite, backups: Path, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    for command in commands(before="## Restore"):
        done = semsearch(source.address, *command)
        assert done.status == 0, done.err
    with Client(source.address) as client:
        before = everything(client)
        with pytest.raises(WrongState, match=r'"first" has \d+ images'):
            list(client.restore_backup())

    with whole_suite(tmp_path / "target", backups, bundles[1]) as target, Client(target.address) as client:
        sha256 = before["second"][0][-1].sha256
        damaged = backups / "objects" / sha256[:2] / sha256
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ServerFailed, match=f"the original of the image {sha256}"):
            list(client.restore_backup())
        assert [each.id for each in client.list_collections()] == ["gallery"]
        damaged.write_bytes(whole)

        for victim in ("gateway", "index", "embedder"):
            progress = client.restore_backup()
            next(progress, None)
            target.kill_and_start(victim)
            progress.close()  # type: ignore[attr-defined]
            target.wait_until_serving()
        [command] = commands(after="## Restore")
        restored = semsearch(target.address, *command)
        assert restored.status == 0 or "images. Nothing was changed" in restored.err, restored.err
        target.wait_until_serving()
        assert everything(client) == before
