"""A search over settings: what it tries, compares, writes, and how it resumes."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import FixedTrial
from PIL import Image
from typer.testing import CliRunner

from trainer.cli import app
from trainer.errors import RunInUse, TrainingSetUnusable
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.feature_set import FeatureSet, write_feature_set
from trainer.fitting.settings import HeadSettings, LossSettings, write_head_file
from trainer.labels.class_words import ClassWords
from trainer.labels.space import Vocabulary
from trainer.tuning.searching import Material, TuningSettings, search
from trainer.tuning.study import SearchSpace, Trials, open_trials
from trainer.words.word_space import WordSpace

LABELS, FEATURES, DIMENSION = 4, 12, 50
WORDS = (*"abcd", "kind", *(f"word{number}" for number in range(8)))
BASE = HeadSettings(dimension=DIMENSION, epochs=2, batch_size=32)
SPACE = SearchSpace(widths=(4, 8))


def write_words(folder: Path) -> Path:
    folder.mkdir()
    (folder / "words.txt").write_text("\n".join(WORDS) + "\n")
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), DIMENSION)).astype(np.float16)
    np.save(folder / "words.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return folder


def draw(folder: Path) -> FeatureSet:
    """Noisy clusters, a quarter of the images for validation."""
    random = np.random.default_rng(1)
    labels = random.integers(LABELS, size=(80, 1))
    rows = random.normal(size=(LABELS, FEATURES))[labels[:, 0]] + random.normal(size=(80, FEATURES))
    keys = [hashlib.sha256(bytes([number])).digest() for number in range(80)]
    with FeatureCache(folder, CacheSpec("test", ("plain",), FEATURES)) as cache:
        cache.append(keys, rows[:, None])
        return FeatureSet(cache.memory_map(), cache.rows_of(keys), labels, tuple("abcd"), np.arange(80) % 4 == 0)


@pytest.fixture
def data(tmp_path: Path) -> FeatureSet:
    return draw(tmp_path / "cache")


def test_the_defaults_are_those_of_fit_and_within_the_bounds() -> None:
    for kinds, expected in ((0, 0), (1, 1), (5, 2)):
        space = SearchSpace(most_kinds=kinds)
        choice = space.choose(FixedTrial(space.defaults()), BASE)
        assert choice.settings == replace(BASE, loss=LossSettings("joint"))
        assert choice.nearest_kinds == expected


def test_the_file_of_the_best_settings_says_all_that_was_chosen(tmp_path: Path) -> None:
    settings = HeadSettings(
        (16, 8), DIMENSION, dropout=0.25, loss=LossSettings("hinge-rank", margin=1e-2), learning_rate=3e-5
    )
    write_head_file(tmp_path / "head.toml", settings, "why")
    read = tomllib.loads((tmp_path / "head.toml").read_text())
    read["hidden"], read["loss"] = tuple(read["hidden"]), LossSettings(**read["loss"])
    assert HeadSettings(**read, dimension=DIMENSION) == settings


def test_without_images_for_validation_nothing_can_be_compared(data: FeatureSet) -> None:
    vocabulary = Vocabulary(WordSpace(("a",), np.ones((1, 1), np.float16)))
    for validation in (None, np.zeros(80, np.bool_)):
        with pytest.raises(TrainingSetUnusable, match="--validation-share"):
            Material(replace(data, validation=validation), (), vocabulary)


def test_what_was_cut_off_failed_and_is_tried_again_first(tmp_path: Path) -> None:
    with open_trials(tmp_path, SPACE, BASE) as trials:
        trial, defaults = trials.ask()
        trials.record(trial, 0.5, 1.0)
        _, cut_off = trials.ask()
    with open_trials(tmp_path, SPACE, BASE) as trials:
        assert trials.done == 1
        trial, again = trials.ask()
        assert (trial.number, again) == (2, cut_off)
        trials.record(trial, 0.75, 1.0)
        _, third = trials.ask()
    assert third not in (defaults, cut_off)


def test_the_defaults_stay_known_as_such_when_they_were_cut_off(tmp_path: Path) -> None:
    with open_trials(tmp_path, SPACE, BASE) as trials:
        trials.ask()
    with open_trials(tmp_path, SPACE, BASE) as trials:
        trial, _ = trials.ask()
        trials.record(trial, 0.5, 1.0)
        [tried] = trials.ranked()
    assert (tried.number, tried.defaults) == (1, True)


def test_trials_rank_by_hits_then_loss_then_age(tmp_path: Path) -> None:
    with open_trials(tmp_path, SPACE, BASE) as trials:
        assert trials.importances() == {}
        for hit, loss in ((0.5, 1.0), (0.75, 2.0), (0.75, 1.0), (0.5, 1.0)):
            trials.record(trials.ask()[0], hit, loss)
        trials.give_up(trials.ask()[0])
        assert [each.number for each in trials.ranked()] == [2, 1, 0, 3]
        assert trials.done == 5
        assert trials.importances()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with open_trials(tmp_path, SPACE, BASE), pytest.raises(RunInUse, match="--run"), open_trials(tmp_path, SPACE, BASE):
        pass


def test_the_search_continues_after_unsuitable_settings(
    tmp_path: Path, data: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(data, cache=np.full(data.cache.shape, np.inf, np.float32))
    vocabulary = Vocabulary(WordSpace(WORDS[:4], np.eye(4, DIMENSION, dtype=np.float16)))
    material = Material(broken, [ClassWords(name, name) for name in "abcd"], vocabulary)
    done: list[int] = []
    give_up = Trials.give_up

    def counted(self: Trials, trial: object) -> None:
        give_up(self, trial)  # type: ignore[arg-type]
        done.append(self.done)

    monkeypatch.setattr(Trials, "give_up", counted)
    with np.errstate(all="ignore"), pytest.raises(TrainingSetUnusable, match="No trial"):
        search(tmp_path / "run", material, TuningSettings(SPACE, BASE, 0, ()), 2)
    assert done == [1, 2]


def test_a_second_command_tries_only_the_remaining_trials(tmp_path: Path) -> None:
    write_feature_set(tmp_path / "training.npz", draw(tmp_path / "cache"), tmp_path / "cache")
    words, run = write_words(tmp_path / "words"), tmp_path / "run"

    def tune(trials: int, *options: str) -> tuple[int, str, str]:
        command = ["tune", str(tmp_path / "training.npz"), "--words", str(words), "--run", str(run)]
        result = CliRunner().invoke(app, [*command, "--trials", str(trials), "--epochs", "2", *options])
        return result.exit_code, result.stdout, result.stderr

    code, out, error = tune(2)
    assert code == 0, error
    assert "(defaults)" in out
    first = (run / "study.db").read_bytes()
    assert tune(2)[0] == 0
    assert (run / "study.db").read_bytes() == first
    code, out, error = tune(3)
    assert code == 0, error
    best = tomllib.loads((run / "head.toml").read_text())
    assert best["epochs"] == 2
    assert best["loss"]["kind"] in ("cosine", "hinge-rank", "softmax", "joint")
    with Image.open(run / "tuning.png") as plot:
        assert plot.width > 800
    assert not (run / "trial").exists()
    code, _, error = tune(3, "--seed", "1")
    assert code == 1
    assert "holds a run with other settings" in error
