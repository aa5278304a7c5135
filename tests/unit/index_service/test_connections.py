import os
import resource
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import CheckReport
from index_service.errors import TooManyOpenFiles
from index_service.local import connections
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.connections import IdleConnections, raise_limit
from index_service.local.vector_index import VectorIndex
from tests.needs import need
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill, found_ids
from tests.unit.index_service.engines_in_process import engine_of

DEADLINE = 20.0
_INDEXES = 40


def definition(name: str) -> IndexDefinition:
    return IndexDefinition(name, 4, "model", engine=EngineKind.EXACT)


def open_files() -> int:
    need(sys.platform == "linux", "Only Linux has /proc.")
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def all_but(free: int) -> Iterator[None]:
    """Leave only `free` file handles available."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(free):
            os.close(taken.pop())
        yield
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def wait_until_closed(folder: Path) -> None:
    """Wait until no store in the folder is open: a thread closes its connection only after it has answered."""
    deadline = time.monotonic() + DEADLINE
    while any(str(folder) in name and ".sqlite" in name for name in open_names()):
        assert time.monotonic() < deadline, list(open_names())


def open_names() -> Iterator[str]:
    need(sys.platform == "linux", "Only Linux has /proc.")
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            yield str(handle.readlink())


def opened(catalog: Catalog, name: str) -> VectorIndex:
    """Get an index repeatedly until it is open."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return catalog.get(name)
        except TooManyOpenFiles:
            assert time.monotonic() < deadline, list(open_names())


def test_unused_indexes_hold_no_files(open_data: OpenCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MAX_CONNECTIONS", 4)
    before, threads = open_files(), threading.active_count()
    catalog = open_data()
    vectors = {}
    for number in range(_INDEXES):
        vectors[f"index{number}"] = fill(catalog.create(definition(f"index{number}")), 3, seed=number)
    assert open_files() - before < _INDEXES
    assert threading.active_count() - threads < _INDEXES
    catalog = open_data()
    assert open_files() - before < _INDEXES
    for name, rows in vectors.items():
        assert found_ids(catalog.get(name), rows[1], 1) == ["1"]
        fill(catalog.get(name), 1, first=3)
        assert catalog.get(name).stats().item_count == 4


def test_an_index_that_lacked_file_handles_opens_later(
    open_data: OpenCatalog, data_folder: Path, stack: ExitStack
) -> None:
    fill(open_data().create(definition("one")), 3)
    stack.close()
    with all_but(3):  # one is for the folder's lock, and SQLite needs three
        catalog = stack.enter_context(open_catalog(data_folder, engine_of, NEVER))
        with pytest.raises(TooManyOpenFiles, match="Nothing is damaged"):
            catalog.get("one")
    assert opened(catalog, "one").stats().item_count == 3


def test_a_call_that_lacked_file_handles_can_be_retried(
    open_data: OpenCatalog, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MAX_CONNECTIONS", 0)
    index = open_data().create(definition("one"))
    vectors = fill(index, 3)
    wait_until_closed(data_folder)
    with all_but(2):
        with pytest.raises(TooManyOpenFiles):
            found_ids(index, vectors[1], 1)
        with pytest.raises(TooManyOpenFiles):
            fill(index, 1, first=3)
    assert found_ids(index, vectors[1], 1) == ["1"]
    assert index.stats().item_count == 3


@pytest.mark.parametrize("engine", [EngineKind.ANNOY, EngineKind.HNSW])
def test_a_segment_that_lacks_file_handles_does_no_harm(
    open_data: OpenCatalog, data_folder: Path, stack: ExitStack, engine: EngineKind
) -> None:
    index = open_data().create(IndexDefinition("one", 4, "model", engine=engine))
    vectors = fill(index, 200)
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    stack.close()
    refused = 0
    for free in range(4, 16):  # one of them is the first that is enough
        with all_but(free):
            catalog = stack.enter_context(open_catalog(data_folder, engine_of, NEVER))
            with suppress(TooManyOpenFiles):
                catalog.get("one")
                break
            refused += 1
        assert found_ids(opened(catalog, "one"), vectors[7], 1) == ["7"]
        stack.close()
    assert refused > 1
    assert opened(catalog, "one").stats().repairs == ()


def test_a_check_that_lacks_file_handles_finds_no_damage(open_data: OpenCatalog) -> None:
    index = open_data().create(definition("one"))
    fill(index, 20)
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    assert list(index.items(["1"], vectors=False)) == ["1"]  # so that a connection is idle
    with all_but(0), pytest.raises(TooManyOpenFiles):
        list(index.check())
    *_, report = index.check()
    assert isinstance(report, CheckReport)
    assert report.damages == ()


def test_the_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need(hard > soft or soft > 512, "The limit cannot be lowered.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_longest_idle_connection_is_closed_first() -> None:
    idle = IdleConnections(2)
    first, second, third = (sqlite3.connect(":memory:") for _ in range(3))
    idle.keep("a", first)
    idle.keep("b", second)
    idle.keep("c", third)
    assert (idle.take("a"), idle.take("b"), idle.take("c"), idle.take("c")) == (None, second, third, None)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")
