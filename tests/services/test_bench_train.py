"""`make bench-train`, whole but small: real commands, the article's loop, and the speed of features."""

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from benchmarks.training.__main__ import main
from benchmarks.training.pictures import lay_out
from tests.needs import SHARED_DATA, need

PHOTOS = SHARED_DATA / "tiny-imagenet"


def run(folder: Path, *options: str) -> Result:
    app = Typer()
    app.command()(main)
    small = ["--images=34", "--classes=2", "--epochs=2", "--hidden=8", "--backbone=mobilenet", "--feature-images=4"]
    return CliRunner().invoke(app, [*small, "--rounds=1", f"--out={folder / 'out.json'}", *options])


@pytest.fixture
def photos() -> Path:
    need(PHOTOS.is_dir(), f"{PHOTOS} is not there, and has the photos: set SEMSEARCH_SHARED_DATA")
    return PHOTOS


def test_both_ways_are_measured_in_one_run(photos: Path, tmp_path: Path) -> None:
    result = run(tmp_path, f"--photos={photos}")
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out.json").read_text())
    measured = written["measured"]
    assert [step["command"] for step in measured["steps"]] == ["backbone", "words", "features", "fit", "export"]
    assert (measured["images"], measured["classes"], measured["epochs"]) == (34, 2, 2)
    assert measured["article_s"] == pytest.approx(2 * measured["epoch_s"])
    assert measured["own_s"] == pytest.approx(sum(step["seconds"] for step in measured["steps"]))
    assert measured["refit_s"] > 0
    assert len(measured["speed"]["rounds"]) == 1
    assert {bar["verdict"] for bar in written["bars"]} == {"not judged here"}
    for bar in written["bars"]:
        assert f"{bar['figure']:,.2f}" in result.output


def test_without_the_photos_it_says_so(tmp_path: Path) -> None:
    result = run(tmp_path, f"--photos={tmp_path}")
    assert result.exit_code == 1
    assert "The photos are missing" in result.stderr
    assert "--photos" in result.stderr


def test_the_choice_of_photos_is_stable_and_sides_are_disjoint(photos: Path, tmp_path: Path) -> None:
    words = Path("starter/bundle")
    first, second = (lay_out(photos, words, 3, 5, 2, tmp_path / name) for name in ("first", "second"))

    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpg")}

    assert contents(first.training) == contents(second.training)
    assert len(contents(first.training)) == 15
    assert len(contents(first.unseen)) == 6
    assert not set(contents(first.training).values()) & set(contents(first.unseen).values())
