"""Aliases that are lost: no index is deleted until each has an alias again."""

from __future__ import annotations

from pathlib import Path

import pytest

from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import StoreDamaged
from index_service.local.aliases import ALIASES_FILE
from index_service.local.catalog import LOCK_FILE, Catalog
from tests.unit.index_service.conftest import OpenCatalog


def two_named(catalog: Catalog) -> None:
    for name in ("one", "two"):
        catalog.create(IndexDefinition(name, 4, "model", engine=EngineKind.EXACT))
        catalog.set_alias(f"alias-{name}", name)
    catalog.close()


@pytest.fixture(params=["damaged", "missing", "copied without hidden files"])
def lost(request: pytest.FixtureRequest, open_data: OpenCatalog, data_folder: Path) -> None:
    """Make two indexes, and lose their aliases."""
    two_named(open_data())
    file = data_folder / ALIASES_FILE
    if request.param == "damaged":
        file.write_bytes(b"{")
    else:
        file.unlink()
    if request.param == "copied without hidden files":
        (data_folder / LOCK_FILE).unlink()


@pytest.mark.usefixtures("lost")
def test_no_index_is_deleted_until_each_has_an_alias_again(open_data: OpenCatalog) -> None:
    open_data().set_alias("alias-one", "one")
    for _ in range(2):  # also after a restart
        catalog = open_data()
        with pytest.raises(StoreDamaged, match="alias"):
            catalog.delete("two")
        with pytest.raises(StoreDamaged, match="alias"):
            catalog.get("alias-two")
        with pytest.raises(StoreDamaged, match="alias"), catalog.hold_snapshot():
            pass
        assert catalog.get("alias-one").definition.name == "one"
        catalog.set_alias("another", "one")
        catalog.delete_alias("another")
    catalog.set_alias("alias-two", "two")
    catalog.set_alias("alias-two", "one")
    catalog.delete("two")


@pytest.mark.usefixtures("lost")
def test_an_index_that_nobody_needs_can_be_deleted_once_it_has_had_any_alias(open_data: OpenCatalog) -> None:
    catalog = open_data()
    catalog.set_alias("alias-one", "one")
    catalog.set_alias("not-needed", "two")
    catalog.delete_alias("not-needed")
    open_data().delete("two")
    assert [each.definition.name for each in open_data().page("", 10)] == ["one"]  # type: ignore[union-attr]


@pytest.mark.usefixtures("lost")
def test_a_lost_alias_stays_unknown_over_restarts_without_any_change(open_data: OpenCatalog) -> None:
    for _ in range(3):
        with pytest.raises(StoreDamaged, match="alias"):
            open_data().get("alias-one")


def test_the_message_says_how_to_go_on(open_data: OpenCatalog, data_folder: Path) -> None:
    two_named(open_data())
    (data_folder / ALIASES_FILE).write_bytes(b"{")
    with pytest.raises(StoreDamaged, match=r"each index.*SetAlias") as caught:
        open_data().delete("one")
    assert str(data_folder) not in str(caught.value)
