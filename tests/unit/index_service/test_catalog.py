import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from index_service.attributes import AttributePath
from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import DamagedIndex
from index_service.engines.contract import Engine
from index_service.errors import (
    DataFolderInUse,
    IndexExists,
    IndexInUse,
    IndexNotFound,
    OpeningFailed,
    SqliteTooOld,
    StoreDamaged,
)
from index_service.items import Delete
from index_service.local.aliases import ALIASES_FILE
from index_service.local.catalog import open_catalog
from index_service.local.store import check_sqlite
from index_service.local.vector_index import VectorIndex
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill, found_ids, random_units
from tests.unit.index_service.engines_in_process import engine_of

DEADLINE = 20.0


def definition(name: str) -> IndexDefinition:
    return IndexDefinition(name, 4, "model", engine=EngineKind.EXACT)


def test_an_index_keeps_its_definition_over_a_restart(open_data: OpenCatalog) -> None:
    wanted = IndexDefinition(
        "all.of-it_1",
        7,
        "model@1",
        engine=EngineKind.ANNOY,
        recall_target=0.9,
        indexed_attributes=(AttributePath.parse("image.sha256"), AttributePath.parse("it's")),
        labels={"purpose": "test"},
    )
    created = open_data().create(wanted).definition
    assert created.created_microseconds > 1_600_000_000_000_000
    kept = open_data().get("all.of-it_1").definition
    assert kept == created
    assert kept.indexed_attributes == wanted.indexed_attributes


def test_names_and_aliases_share_one_namespace(open_data: OpenCatalog) -> None:
    catalog = open_data()
    catalog.create(definition("one"))
    catalog.set_alias("current", "one")
    with pytest.raises(IndexExists):
        catalog.create(definition("one"))
    with pytest.raises(IndexExists, match="alias"):
        catalog.create(definition("current"))
    with pytest.raises(IndexExists):
        catalog.set_alias("one", "one")
    with pytest.raises(IndexNotFound):
        catalog.set_alias("other", "current")


def test_an_alias_moves_at_once_and_survives(open_data: OpenCatalog) -> None:
    catalog = open_data()
    for name in ("one", "two"):
        catalog.create(definition(name))
    assert catalog.set_alias("current", "one") is None
    assert catalog.get("current").definition.name == "one"
    assert catalog.set_alias("current", "two") == "one"
    catalog = open_data()
    assert catalog.get("current").definition.name == "two"
    assert (catalog.aliases("one"), catalog.aliases("two")) == ((), ("current",))
    assert catalog.delete_alias("current") == "two"
    with pytest.raises(IndexNotFound):
        open_data().get("current")


def test_a_search_always_finds_the_alias_while_it_moves(open_data: OpenCatalog) -> None:
    catalog = open_data()
    for name in ("one", "two"):
        catalog.create(definition(name))
    catalog.set_alias("current", "one")
    stop = threading.Event()

    def read() -> int:
        reads = 0
        while not stop.is_set() or reads < 100:
            assert catalog.get("current").definition.name in {"one", "two"}
            reads += 1
        return reads

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        for turn in range(50):
            catalog.set_alias("current", ("one", "two")[turn % 2])
        stop.set()
        assert reading.result(DEADLINE) >= 100


def test_an_index_that_an_alias_names_is_not_deleted(open_data: OpenCatalog) -> None:
    catalog = open_data()
    fill(catalog.create(definition("one")), 3)
    catalog.set_alias("current", "one")
    with pytest.raises(IndexInUse, match="current"):
        catalog.delete("one")
    with pytest.raises(IndexNotFound):
        catalog.delete("current")
    catalog.delete_alias("current")
    assert catalog.delete("one") == 3
    with pytest.raises(IndexNotFound):
        open_data().get("one")


def test_a_deleted_index_leaves_nothing_and_its_name_is_free(open_data: OpenCatalog, data_folder: Path) -> None:
    catalog = open_data()
    index = catalog.create(definition("one"))
    fill(index, 3)
    catalog.delete("one")
    assert not list(data_folder.glob("*one*"))
    assert not list(data_folder.glob(".tmp*"))
    for use in (
        lambda: index.items(["0"], vectors=False),
        lambda: index.delete(Delete(("0",))),
        lambda: found_ids(index, random_units(0, 1, 4)[0], 1),
    ):
        with pytest.raises(IndexNotFound):
            use()
    assert catalog.create(definition("one")).stats().item_count == 0


def test_indexes_are_listed_by_name_in_pages(open_data: OpenCatalog) -> None:
    catalog = open_data()
    for name in ("b", "a", "C", "a1"):
        catalog.create(definition(name))
    first = catalog.page("", 3)
    assert [index.definition.name for index in first if isinstance(index, VectorIndex)] == ["C", "a", "a1"]
    (last,) = catalog.page("a1", 3)
    assert isinstance(last, VectorIndex)
    assert last.definition.name == "b"


def test_a_second_process_on_the_same_folder_is_refused(open_data: OpenCatalog, data_folder: Path) -> None:
    open_data()
    with pytest.raises(DataFolderInUse, match="Another index service"), open_catalog(data_folder, engine_of, NEVER):
        pass


def test_damaged_aliases_are_reported_and_can_be_set_again(open_data: OpenCatalog, data_folder: Path) -> None:
    catalog = open_data()
    fill(catalog.create(definition("one")), 1)
    catalog.set_alias("current", "one")
    catalog.close()
    path = data_folder / ALIASES_FILE
    path.write_bytes(path.read_bytes().replace(b'"one"', b'"two"'))
    catalog = open_data()
    assert catalog.get("one").stats().item_count == 1
    for use in (lambda: catalog.get("current"), lambda: catalog.delete_alias("current")):
        with pytest.raises(StoreDamaged, match="aliases"):
            use()
    catalog.set_alias("current", "one")
    assert open_data().get("current").definition.name == "one"


def test_while_aliases_are_unknown_no_index_is_deleted(open_data: OpenCatalog, data_folder: Path) -> None:
    catalog = open_data()
    catalog.create(definition("one"))
    catalog.set_alias("current", "one")
    catalog.close()
    (data_folder / ALIASES_FILE).write_bytes(b"{")
    with pytest.raises(StoreDamaged, match="aliases"):
        open_data().delete("one")


def test_a_folder_that_is_not_an_index_is_left_alone(data_folder: Path, stack: ExitStack) -> None:
    (data_folder / "lost+found").mkdir(parents=True)
    catalog = stack.enter_context(open_catalog(data_folder, engine_of, NEVER))
    assert catalog.page("", 10) == []
    assert (data_folder / "lost+found").is_dir()


def test_a_bug_during_opening_is_not_reported_as_damage(
    open_data: OpenCatalog, data_folder: Path, stack: ExitStack
) -> None:
    catalog = open_data()
    for name in ("one", "two"):
        fill(catalog.create(definition(name)), 3)
    stack.close()

    def engine(wanted: IndexDefinition) -> Engine:
        return engine_of(wanted) if wanted.name == "two" else {}[wanted.name]

    with capture_logs() as logs:
        catalog = stack.enter_context(open_catalog(data_folder, engine, NEVER))
    with pytest.raises(OpeningFailed, match="KeyError"):
        catalog.get("one")
    assert [line["index"] for line in logs if line.get("exc_info")] == ["one"]
    assert [index.name for index in catalog.page("", 9) if isinstance(index, DamagedIndex)] == ["one"]
    assert catalog.get("two").stats().item_count == 3


def test_a_sqlite_that_is_too_old_is_reported_at_startup() -> None:
    check_sqlite((3, 38, 0))
    with pytest.raises(SqliteTooOld, match=r"3\.37\.2"):
        check_sqlite((3, 37, 2))
