"""`fit` from outside: the files in a run's folder, how it resumes, and its errors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from trainer.cli import app
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.feature_set import FeatureSet, write_feature_set
from trainer.fitting import recorded
from trainer.keras_files import load_network
from trainer.words.word_space import convert_words

WORDS = ("poodle", "car", "the", "said")
EPOCHS = 5


def fit(folder: Path, run: str, *options: object) -> tuple[int, str, str]:
    """Exit status, output in one line, and errors."""
    given = ("--features", folder / "features.npz", "--words", folder / "words", "--run", folder / run, *options)
    result = CliRunner().invoke(app, ["fit", *map(str, given)])
    return result.exit_code, " ".join(result.stdout.split()), result.stderr


def events(folder: Path) -> dict[str, list[int]]:
    """The steps of each figure, as TensorBoard reads them."""
    read = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    return {name: [event.step for event in read.Tensors(name)] for name in read.Tags()["tensors"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words, and the features of forty images in two clusters."""
    folder = tmp_path_factory.mktemp("made")
    random = np.random.default_rng(1)
    lines = (f"{word} {' '.join(f'{value:.4f}' for value in random.normal(size=50))}\n" for word in WORDS)
    (folder / "glove.txt").write_text("".join(lines))
    convert_words(folder / "glove.txt", folder / "words")
    labels = np.arange(40) % 2
    values = random.normal(size=(2, 5))[labels][:, None] + 0.1 * random.normal(size=(40, 2, 5))
    keys = [hashlib.sha256(bytes([number])).digest() for number in range(40)]
    with FeatureCache(folder / "cache", CacheSpec("test", ("plain", "mirrored"), 5)) as cache:
        cache.append(keys, values)
        data = FeatureSet(cache.memory_map(), cache.rows_of(keys), labels[:, None], WORDS[:2])
    write_feature_set(folder / "features.npz", data, folder / "cache")
    (folder / "head.toml").write_text(f"hidden = [7]\nepochs = {EPOCHS}\nbatch_size = 8\nlearning_rate = 0.02\n")
    return folder


@pytest.fixture(scope="module")
def whole(made: Path) -> Path:
    """The folder of a run that nothing interrupted."""
    code, out, error = fit(made, "whole", "--config", made / "head.toml", "--dropout", 0.1)
    assert code == 0, error
    assert "head in" in out
    return made / "whole"


def test_a_runs_folder_says_what_it_was_made_from_and_with(made: Path, whole: Path) -> None:
    settings = json.loads((whole / "settings.json").read_text())
    assert (settings["hidden"], settings["dropout"], settings["loss"]["kind"]) == ([7], 0.1, "joint")
    recorded = json.loads((whole / "run.json").read_text())
    for name, path in (
        ("features", "features.npz"),
        ("words.txt", "words/words.txt"),
        ("words.npy", "words/words.npy"),
    ):
        assert recorded["inputs"][name] == hashlib.sha256((made / path).read_bytes()).hexdigest()
    assert (recorded["inputs"]["nearest_kinds"], recorded["inputs"]["foreign_words"]) == (2, 2000)
    (start,) = recorded["starts"]
    assert start["versions"].keys() == {"python", "keras", "tensorflow", "numpy", "semsearch"}
    assert start["versions"]["numpy"] == np.__version__
    assert start["command"].startswith("python -m trainer")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", start["started"])
    assert start["seconds"] > 0
    assert len(start["device"]) == 1
    assert start["git"] is None or re.fullmatch("[0-9a-f]{40}", start["git"]["commit"])


def test_a_runs_folder_shows_its_figures_and_confusions(whole: Path) -> None:
    steps = list(range(1, EPOCHS + 1))
    assert events(whole) == {"loss": steps, "held_out_loss": steps, "held_out_hit@1": steps}
    for name in ("curves.png", "confusion.png"):
        with Image.open(whole / name) as picture:
            assert min(picture.size) > 500
    assert load_network(whole / "head.keras").output_shape == (None, 50)


def interrupt_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as soon as an epoch is done, before its figures are written for TensorBoard."""

    def add(self: Any, done: int, figures: dict[str, float]) -> None:
        if done == epoch:
            raise KeyboardInterrupt
        original(self, done, figures)

    original: Callable[..., None] = recorded.Events.add
    monkeypatch.setattr(recorded.Events, "add", add)


def test_an_interrupted_run_continues_with_the_same_command(
    made: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--config", made / "head.toml", "--dropout", 0.1)
    with monkeypatch.context() as patched:
        interrupt_after(3, patched)
        code, out, _ = fit(made, "broken", *options)
    assert code == 130
    assert f"Interrupted. The training up to epoch 3 of {EPOCHS} is kept" in out
    assert "the same command continues from there" in out
    assert not (made / "broken" / "head.keras").exists()
    assert fit(made, "broken", *options)[0] == 0
    assert (made / "broken" / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert events(made / "broken") == events(whole)
    assert len(json.loads((made / "broken" / "run.json").read_text())["starts"]) == 2
    mine, theirs = (load_network(folder / "head.keras").get_weights() for folder in (made / "broken", whole))
    for left, right in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_run_that_ends_early_says_which_epoch_is_kept(made: Path, tmp_path: Path) -> None:
    (tmp_path / "early.toml").write_text(
        'watched = "held_out_hit@1"\nepochs = 30\nbatch_size = 8\nlearning_rate = 0.1\n'
    )
    code, out, error = fit(made, "early", "--config", tmp_path / "early.toml", "--patience", 1)
    assert code == 0, error
    assert (said := re.search(r"trained for (\d+) of 30 epochs; epoch (\d+) is kept", out))
    assert int(said[1]) == int(said[2]) + 1


def test_a_loss_that_is_no_number_says_which_setting_to_lower(made: Path) -> None:
    code, _, error = fit(made, "diverged", "--epochs", 2, "--batch-size", 8, "--hidden", 9, "--learning-rate", 1e30)
    assert code == 1
    assert re.search(r"trainer: The loss became \S+ in epoch 1, step \d of 5, .*Lower the learning rate", error)


def test_other_inputs_or_settings_are_refused_to_a_run_by_name(made: Path, whole: Path) -> None:
    options = ("--config", made / "head.toml", "--dropout", 0.1)
    code, _, error = fit(made, "whole", *options, "--nearest-kinds", 1)
    assert code == 1
    assert "was made from other inputs (nearest_kinds changed)" in error
    code, _, error = fit(made, "whole", *options, "--seed", 4)
    assert code == 1
    assert "seed was 0, is 4" in error
    assert len(json.loads((whole / "run.json").read_text())["starts"]) == 1


def test_a_bad_key_of_the_settings_file_is_one_sentence(made: Path, tmp_path: Path) -> None:
    (tmp_path / "head.toml").write_text("epoch = 3\n")
    code, _, error = fit(made, "none", "--config", tmp_path / "head.toml")
    assert code == 1
    wrong = "epoch is not a setting (did you mean epochs?)"
    assert error == f"trainer: {tmp_path / 'head.toml'} cannot be used: {wrong}.\n"
    assert not (made / "none").exists()


@pytest.mark.parametrize("package", ["matplotlib", "tensorboard"])
def test_what_draws_a_run_is_asked_for_before_the_training(
    made: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(recorded, "find_spec", lambda name: None if name == package else name)
    code, _, error = fit(made, "none")
    assert code == 1
    assert f"need {package}, not installed here. Install: pip install 'semsearch[train]'" in error
    assert not (made / "none").exists()
