"""A head's settings from a TOML file and from options: given values count, and invalid ones are refused by name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from trainer.errors import SettingsUnusable
from trainer.fitting.settings import HeadSettings, LossSettings, head_settings

EVERYTHING = """
hidden = [2000, 500]
dimension = 300
activation = "gelu"
dropout = 0.25
epochs = 7
batch_size = 32
learning_rate = 0.01
weight_decay = 0
held_out = 0.2
patience = 3
watched = "held_out_hit@1"
class_weights = "balanced"
precision = "mixed_bfloat16"
devices = "all"
seed = 5

[loss]
kind = "hinge-rank"
margin = 0.3
scale = 10
concept_weight = 0.5
cosine_weight = 2.0
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "head.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_can_be_set_in_a_file(tmp_path: Path) -> None:
    settings = head_settings(written(tmp_path, EVERYTHING), {}, 300)
    assert settings == HeadSettings(
        (2000, 500), 300, "gelu", 0.25, LossSettings("hinge-rank", 0.3, 10, 0.5, 2), 7, 32, 0.01, 0, 0.2, 3,
        "held_out_hit@1", "balanced", "mixed_bfloat16", "all", 5,
    )  # fmt: skip
    default = asdict(HeadSettings())
    assert [name for name, value in asdict(settings).items() if value == default[name]] == ["dimension"]


def test_without_file_or_options_the_defaults_hold() -> None:
    assert head_settings(None, {}, 50) == HeadSettings(dimension=50, loss=LossSettings("joint"))


def test_an_option_comes_before_the_file_and_none_says_nothing(tmp_path: Path) -> None:
    file = written(tmp_path, 'epochs = 7\ndropout = 0.5\n[loss]\nkind = "softmax"\nscale = 10\n')
    settings = head_settings(file, {"epochs": 3, "dropout": None, "hidden": [9], "loss": {"kind": "joint"}}, 8)
    assert (settings.epochs, settings.dropout, settings.hidden) == (3, 0.5, (9,))
    assert settings.loss == LossSettings("joint", scale=10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("droput = 0.2", "droput is not a setting (did you mean dropout?)"),
        ("[loss]\nmargn = 0.2", "loss.margn is not a setting (did you mean loss.margin?)"),
        ("colour = 1", "colour is not a setting; there are hidden, dimension, "),
        ("dropout = 1", "dropout is 1: input should be less than 1"),
        ("epochs = 0", "epochs is 0: input should be greater than or equal to 1"),
        ("epochs = 2.5", "epochs is 2.5: input should be a valid integer"),
        ('epochs = "20"', 'epochs is "20": input should be a valid integer'),
        ("epochs = true", "epochs is true: input should be a valid integer"),
        ("seed = 2026-01-01", 'seed is "2026-01-01": input should be a valid integer'),
        ("hidden = 300", "hidden is 300: input should be a valid array"),
        ("hidden = [300, 0]", "hidden.1 is 0: input should be greater than or equal to 1"),
        ("learning_rate = inf", "learning_rate is Infinity: input should be a finite number"),
        ('loss = "cosine"', 'loss is "cosine": input should be an object'),
        ('[loss]\nkind = "l1"', "loss.kind is \"l1\": input should be 'cosine', 'hinge-rank', 'softmax' or 'joint'"),
        ("dimension = 200", "dimension is 200, and the words have 300 numbers each"),
        ("epochs = ", "is not TOML: Invalid value (at end of document)"),
        ("epochs = 0\nseed = -1", "epochs is 0: input should be greater than or equal to 1; seed is -1: "),
    ],
)
def test_an_invalid_setting_is_refused_by_its_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsUnusable) as refused:
        head_settings(written(tmp_path, text), {}, 300)
    assert str(refused.value).startswith(f"{tmp_path / 'head.toml'} ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnusable, match=r"head\.toml cannot be read \(No such file"):
        head_settings(tmp_path / "head.toml", {}, 300)


def test_an_option_that_cannot_be_is_named_without_a_file() -> None:
    with pytest.raises(SettingsUnusable, match=r"The options cannot be used: dropout is 1\.5"):
        head_settings(None, {"dropout": 1.5}, 300)
