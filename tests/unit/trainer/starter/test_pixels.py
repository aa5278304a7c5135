"""Training pictures in memory."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from trainer.errors import TrainingSetUnusable
from trainer.starter.pictures import PictureSource
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.starter.scenes import FONT


def jpeg(color: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (80, 48), color).save(content, "JPEG")
    return content.getvalue()


def photos(folder: Path, members: dict[str, bytes]) -> Path:
    (folder / "classes.json").write_text(json.dumps({"n2": "dog", "n1": "cat"}))
    with tarfile.open(folder / "train-00.tar", "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return folder


@pytest.mark.skipif(not FONT.exists(), reason="the font of fonts-noto-color-emoji is not installed")
def test_photos_come_first_then_scenes_with_their_own_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.starter.pictures.TRAINING_SCENES", 1)
    folder = photos(tmp_path, {"n2/1.jpg": jpeg("red"), "n1/1.jpg": jpeg("blue")})
    source = PictureSource(folder, tmp_path / "cache")
    pictures = source.training()
    assert source.names[:2] == ("n1", "n2")
    assert pictures.pixels.shape == (2 + len(SCENE_CLASSES), 64, 64, 3)
    assert pictures.labels.tolist() == [1, 0, *range(2, 2 + len(SCENE_CLASSES))]
    assert pictures.pixels[0].mean(axis=(0, 1)).round().tolist() == pytest.approx([254, 0, 0], abs=3)
    (folder / "train-00.tar").unlink()  # decoded and rendered once
    assert source.training().labels.tolist() == pictures.labels.tolist()


@pytest.mark.skipif(not FONT.exists(), reason="the font of fonts-noto-color-emoji is not installed")
def test_a_class_left_out_disappears_and_the_others_renumber(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.starter.pictures.TRAINING_SCENES", 1)
    folder = photos(tmp_path, {"n2/1.jpg": jpeg("red"), "n1/1.jpg": jpeg("blue")})
    left_out = SCENE_CLASSES[3].word
    source = PictureSource(folder, tmp_path / "cache", frozenset({"n1", left_out}))
    pictures = source.training()
    assert source.names == ("n2", *(each.word for each in SCENE_CLASSES if each.word != left_out))
    assert pictures.labels.tolist() == list(range(len(source.names)))
    assert pictures.pixels[0].mean(axis=(0, 1)).round().tolist() == pytest.approx([254, 0, 0], abs=3)


@pytest.mark.skipif(not FONT.exists(), reason="the font of fonts-noto-color-emoji is not installed")
def test_a_class_to_leave_out_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.starter.pictures.TRAINING_SCENES", 1)
    folder = photos(tmp_path, {"n1/1.jpg": jpeg("blue")})
    with pytest.raises(TrainingSetUnusable, match="no classes n9 to leave out"):
        PictureSource(folder, tmp_path / "cache", frozenset({"n9"})).training()


def test_photos_that_cannot_be_read_are_named_all(tmp_path: Path) -> None:
    whole = jpeg("red")
    folder = photos(tmp_path, {"n1/1.jpg": whole, "n1/text.jpg": b"not an image", "n2/cut.jpg": whole[:300]})
    with pytest.raises(TrainingSetUnusable, match=r"2 photos .*n1/text\.jpg.*n2/cut\.jpg"):
        PictureSource(folder, tmp_path / "cache").training()
    assert not (tmp_path / "cache").exists()
