from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embedder_service.errors import ModelNotFound
from embedder_service.models import ModelFolder
from model.bundle.reading import peek
from tests.bundles import write_test_bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    write_test_bundle(folder, seed=1, name="shipped")
    write_test_bundle(folder, seed=2, name="own")
    return folder


@pytest.fixture
def models(bundles: Path, tmp_path: Path) -> ModelFolder:
    shutil.copytree(bundles / "own", tmp_path / "own")
    return ModelFolder(tmp_path, bundles / "shipped", (bundles / "shipped",))


def test_the_default_bundle_serves_until_another_is_made_active(models: ModelFolder) -> None:
    assert models.active() == models.default
    (models.models / "active").write_text(peek(models.models / "own").id + "\n")
    assert models.active() == models.models / "own"


def test_an_empty_choice_counts_as_none(models: ModelFolder) -> None:
    (models.models / "active").write_text("\n")
    assert models.active_id() == models.default_id()


def test_a_missing_active_bundle_is_named(models: ModelFolder) -> None:
    (models.models / "active").write_text("gone@sha256:000000000000")
    with pytest.raises(ModelNotFound, match="gone@sha256:000000000000"):
        models.active()


def test_bundles_are_listed_by_id_without_unreadable_ones(models: ModelFolder) -> None:
    broken = models.models / "broken"
    shutil.copytree(models.models / "own", broken)
    (broken / "manifest.json").write_text("{")
    newer = models.models / "newer"
    shutil.copytree(models.models / "own", newer)
    manifest = json.loads((newer / "manifest.json").read_text())
    (newer / "manifest.json").write_text(json.dumps(manifest | {"formatVersion": 99}))
    ids = [manifest.id for manifest in models.manifests()]
    assert [model_id.partition("@")[0] for model_id in ids] == ["own", "shipped"]
    assert models.manifest(ids[0]).id == ids[0]
    with pytest.raises(ModelNotFound):
        models.manifest("other")


def test_a_missing_folder_has_no_bundles(bundles: Path, tmp_path: Path) -> None:
    models = ModelFolder(tmp_path / "none", bundles / "shipped", (bundles / "shipped",))
    assert len(models.manifests()) == 1
