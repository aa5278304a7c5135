"""Data folders of every format version can be opened, and nothing in them is lost."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from annoy import AnnoyIndex
from semsearch.export_file import read

from index_service.api.translate import exports
from index_service.definition import EngineKind
from index_service.descriptions import CheckReport
from index_service.errors import StoreDamaged
from index_service.filters import Filter
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.vector_index import VectorIndex
from tests.fixtures.formats import make_v1
from tests.fixtures.formats.make_v1 import (
    ALIASES,
    CONTENTS,
    DIMENSION,
    INDEXED_ATTRIBUTES,
    LABELS,
    MODEL,
    FixtureItem,
)
from tests.unit.index_service.conftest import NEVER, OpenCatalog
from tests.unit.index_service.damage_found import damage_found
from tests.unit.index_service.engines_in_process import engine_of

NAMES = pytest.mark.parametrize("name", CONTENTS)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def damage() -> list[str]:
    """What is found damaged when `catalog` is opened."""
    return []


@pytest.fixture
def catalog(data_folder: Path, damage: list[str]) -> Iterator[Catalog]:
    """Open a copy of version 1's folder with the current code."""
    before = contents(make_v1.FOLDER)
    shutil.copytree(make_v1.FOLDER, data_folder)
    with ExitStack() as stack:
        with damage_found() as found:
            opened = stack.enter_context(open_catalog(data_folder, engine_of, NEVER))
        damage += found
        yield opened
    assert contents(make_v1.FOLDER) == before


def check_items(index: VectorIndex, expected: list[FixtureItem]) -> None:
    found = list(index.page(0, 1_000, Filter(), vectors=True))
    assert [each.id for each in found] == [each.id for each in expected]
    for got, wanted in zip(found, expected, strict=True):
        assert json.loads(got.attributes or "") == wanted.attributes
        assert got.vector is not None
        assert got.vector.tobytes() == wanted.vector.tobytes()


@NAMES
def test_every_item_of_version_1_is_unchanged(catalog: Catalog, name: str) -> None:
    check_items(catalog.get(name), CONTENTS[name].items)
    index = catalog.get(name)
    index.optimize(lambda _done, _total: None).result()
    assert list(index.check())[-1] == CheckReport((), len(CONTENTS[name].items), 1)


def test_an_export_of_version_1_is_imported_as_it_was(open_data: OpenCatalog) -> None:
    before = make_v1.EXPORT.read_bytes()
    catalog = open_data()
    header, *pieces, trailer = read(make_v1.EXPORT)
    filling = catalog.begin_import("copy", exports.to_header(header))
    for piece in pieces:
        filling.add(exports.to_rows(piece, DIMENSION))
    filling.complete(exports.to_trailer(trailer.trailer))
    index = catalog.finish_import(filling)
    check_items(index, CONTENTS["items"].items)
    assert (index.definition.engine, index.definition.model_id, index.definition.labels) == (
        EngineKind.ANNOY, MODEL, LABELS,
    )  # fmt: skip
    assert make_v1.EXPORT.read_bytes() == before


def test_vectors_of_version_1_keep_their_segments_unrepaired(catalog: Catalog) -> None:
    content = CONTENTS["exact"]
    stats = catalog.get("exact").stats()
    assert stats.repairs == ()
    assert (stats.segment_count, stats.segment_row_count) == (1, len(content.merged))
    assert stats.deleted_row_count == len(content.deleted) + len(content.replaced)
    assert stats.live_row_count == len(content.live) + len(content.replaced)
    assert stats.item_count == len(content.items)


def test_a_forest_of_version_1_without_a_plan_is_rebuilt(catalog: Catalog, damage: list[str]) -> None:
    index = catalog.get("items")
    (problem,) = damage
    assert "an older version wrote it; its 200 rows will be rebuilt" in problem
    index.optimize(lambda _done, _total: None).result()
    stats = index.stats()
    assert (stats.segment_count, stats.segment_row_count) == (1, len(CONTENTS["items"].items))


@NAMES
def test_every_item_of_version_1_has_its_true_neighbours(catalog: Catalog, name: str) -> None:
    items = CONTENTS[name].items
    vectors = np.array([each.vector for each in items], dtype=np.float64)
    answer = catalog.get(name).search([each.vector for each in items], 5, None, attributes=False)
    for query, neighbors in zip(vectors, answer.neighbors, strict=True):
        distances = np.linalg.norm(vectors - query, axis=1)
        nearest = np.argsort(distances, kind="stable")[:5]
        assert [each.id for each in neighbors] == [items[position].id for position in nearest]
        assert [each.distance for each in neighbors] == pytest.approx(distances[nearest].tolist(), abs=1e-6)


def test_annoy_reads_a_forest_of_version_1() -> None:
    (file,) = make_v1.FOLDER.glob("items/segments/*/forest.ann")
    forest = AnnoyIndex(DIMENSION, "angular")
    forest.load(str(file))
    assert forest.get_n_items() == len(CONTENTS["items"].merged)
    assert forest.get_nns_by_vector(CONTENTS["items"].merged[7].vector.tolist(), 1) == [7]


@NAMES
def test_the_definition_of_version_1_is_unchanged(catalog: Catalog, name: str) -> None:
    definition = catalog.get(name).definition
    assert (definition.name, definition.dimension, definition.model_id) == (name, DIMENSION, MODEL)
    assert definition.engine is (EngineKind.ANNOY if name == "items" else EngineKind.EXACT)
    assert [str(path) for path in definition.indexed_attributes] == INDEXED_ATTRIBUTES[name]
    assert definition.labels == LABELS
    assert definition.created_microseconds > 0


def test_an_alias_of_version_1_names_its_index(catalog: Catalog) -> None:
    for alias, name in ALIASES.items():
        assert catalog.get(alias).definition.name == name


def test_a_folder_of_version_1_without_aliases_has_lost_none(open_data: OpenCatalog, data_folder: Path) -> None:
    shutil.copytree(make_v1.FOLDER, data_folder)
    (data_folder / ".lock").touch()
    (data_folder / ".aliases.json").unlink()
    open_data().set_alias("new", "items")
    assert open_data().get("new").definition.name == "items"
    open_data().close()
    (data_folder / ".aliases.json").unlink()
    with pytest.raises(StoreDamaged, match="no such file"):
        open_data().get("new")
