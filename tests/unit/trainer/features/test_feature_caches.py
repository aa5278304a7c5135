"""The shared folder of feature caches, and feature sets that lie elsewhere."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trainer.cli import app
from trainer.errors import TrainingSetUnusable
from trainer.features.cache import CacheSpec, FeatureCache, cache_folder, clean, list_caches, shared_folder
from trainer.features.feature_set import FeatureSet, read_feature_set, write_feature_set

SPECS = [CacheSpec(name, ("plain",), 2, "float32") for name in ("one", "two")]
KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(6)]
ROWS = np.arange(12, dtype=np.float32).reshape(6, 1, 2)


def fill(root: Path, spec: CacheSpec, order: list[int], used_days_ago: int = 0) -> Path:
    folder = cache_folder(root, spec)
    with FeatureCache(folder, spec) as cache:
        cache.append([KEYS[place] for place in order], ROWS[order])
    then = (folder / "spec.json").stat().st_mtime - 86_400 * used_days_ago
    os.utime(folder / "spec.json", (then, then))
    return folder


def feature_set(folder: Path, spec: CacheSpec, images: list[int]) -> FeatureSet:
    with FeatureCache(folder, spec) as cache:
        rows = cache.rows_of([KEYS[place] for place in images])
        return FeatureSet(cache.memory_map(), rows, np.zeros((len(images), 1), np.int64), ("a", "b"))


def test_caches_are_listed_with_their_images_and_sizes(tmp_path: Path) -> None:
    for spec in SPECS:
        fill(tmp_path, spec, [0, 1, 2])
    (tmp_path / "stray").mkdir()
    found = list(list_caches(tmp_path))
    assert {each.spec for each in found} == set(SPECS)
    for each in found:
        assert each.images == 3
        assert each.bytes == sum(file.stat().st_size for file in each.folder.iterdir())


def test_what_was_not_used_for_so_long_is_removed_and_use_counts(tmp_path: Path) -> None:
    folders = [fill(tmp_path, spec, [0], used_days_ago=9) for spec in SPECS]
    FeatureCache(folders[1], SPECS[1]).close()
    removed, in_use = clean(tmp_path, timedelta(days=5))
    assert ([each.spec for each in removed], in_use) == ([SPECS[0]], [])
    assert [folder.exists() for folder in folders] == [False, True]
    assert [path.name for path in tmp_path.iterdir()] == [folders[1].name]


def test_a_cache_that_is_being_written_is_left(tmp_path: Path) -> None:
    folder = fill(tmp_path, SPECS[0], [0])
    with FeatureCache(folder, SPECS[0]):
        removed, in_use = clean(tmp_path, timedelta())
        assert (removed, [each.folder for each in in_use]) == ([], [folder])
    assert [each.folder for each in clean(tmp_path, timedelta())[0]] == [folder]


def test_a_feature_set_finds_its_images_in_a_reordered_cache(tmp_path: Path) -> None:
    folder = fill(tmp_path / "caches", SPECS[0], [0, 1, 2])
    path = tmp_path / "sets" / "training.npz"
    write_feature_set(path, feature_set(folder, SPECS[0], [2, 0]), folder)
    mapped = read_feature_set(path)
    clean(tmp_path / "caches", timedelta())
    np.testing.assert_array_equal(mapped.take(np.arange(2)), ROWS[[2, 0], 0])  # an open reader keeps its data
    with pytest.raises(TrainingSetUnusable, match="python -m trainer features"):
        read_feature_set(path)
    fill(tmp_path / "caches", SPECS[0], [5, 2, 1, 0])
    np.testing.assert_array_equal(read_feature_set(path).take(np.arange(2)), ROWS[[2, 0], 0])


def test_a_feature_set_says_when_its_cache_lacks_an_image(tmp_path: Path) -> None:
    folder = fill(tmp_path, SPECS[0], [0, 1])
    write_feature_set(tmp_path / "training.npz", feature_set(folder, SPECS[0], [0, 1]), folder)
    clean(tmp_path, timedelta())
    fill(tmp_path, SPECS[0], [1])
    with pytest.raises(TrainingSetUnusable, match=r"does not have \(any longer\)\. Compute them again"):
        read_feature_set(tmp_path / "training.npz")


def test_the_commands_list_and_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path))
    assert shared_folder() == tmp_path / "cache" / "features"
    folder = fill(shared_folder(), SPECS[0], [0, 1, 2], used_days_ago=40)
    fill(shared_folder(), SPECS[1], [0], used_days_ago=20)
    listed = CliRunner().invoke(app, ["cache", "list"])
    assert listed.exit_code == 0
    assert "one" in listed.stdout
    assert "MiB in" in listed.stdout
    cleaned = CliRunner().invoke(app, ["cache", "clean"])
    assert "MiB removed" in cleaned.stdout
    assert not folder.exists()
    CliRunner().invoke(app, ["cache", "clean", "--keep-days", "0"])
    assert list(list_caches(shared_folder())) == []
