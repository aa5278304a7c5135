"""Manifests and recipes that ship survive reading and writing unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.bundle.manifest import bundle_id, manifest_from_json, manifest_to_json
from model.bundle.recipe import recipe_from_json, recipe_to_json

STARTER = Path(__file__).parents[3] / "starter"
MANIFESTS = sorted(STARTER.rglob("manifest.json"))
RECIPES = sorted(STARTER.rglob("recipe.json"))


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.parent.name)
def test_a_manifest_that_ships_is_written_as_it_was_read(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    # Not its bytes: protobuf writes the metrics, a map, in any order.
    assert json.loads(manifest_to_json(manifest_from_json(text))) == json.loads(text)


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.parent.name)
def test_the_id_of_a_bundle_that_ships_follows_from_its_files(file: Path) -> None:
    manifest = manifest_from_json(file.read_text(encoding="utf-8"))
    assert manifest.id == bundle_id(manifest.id.partition("@")[0], manifest.files)


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.parent.name)
def test_a_recipe_that_ships_is_written_as_it_was_read(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert recipe_to_json(recipe_from_json(text)) == text
