"""The rendered scenes, and the gallery that ships."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.starter import scenes
from trainer.starter.scene_catalog import SCENE_CLASSES, SceneClass
from trainer.starter.scenes import FONT, GALLERY_SEEDS, VALIDATION_SEEDS, render, render_many, write_gallery

GALLERY = Path(__file__).parents[4] / "starter" / "gallery"
needs_font = pytest.mark.skipif(not FONT.exists(), reason="the font of fonts-noto-color-emoji is not installed")


def truth() -> list[dict[str, object]]:
    return [json.loads(line) for line in (GALLERY / "truth.jsonl").read_text().splitlines()]


@needs_font
@pytest.mark.parametrize("scene_class", SCENE_CLASSES, ids=lambda each: each.word)
def test_a_seed_is_a_picture(scene_class: SceneClass) -> None:
    first, setting = render(scene_class, 7, 96)
    again, _ = render(scene_class, 7, 96)
    other, _ = render(scene_class, 8, 96)
    assert first.size == (96, 96)
    assert first.mode == "RGB"
    assert setting in scene_class.settings
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@needs_font
def test_every_glyph_of_the_catalogue_is_in_the_font() -> None:
    shown = {glyph: scenes._glyph(glyph) for each in SCENE_CLASSES for glyph in each.glyphs}
    for glyph, picture in shown.items():
        colors = len(np.unique(np.asarray(picture).reshape(-1, 4), axis=0))
        assert colors > 20, f"{glyph} is drawn in {colors} colours, as a box for a missing glyph is"


@needs_font
def test_training_pictures_have_the_catalogs_order_and_the_size() -> None:
    rendered = list(render_many(VALIDATION_SEEDS, 1, 32))
    assert [label for _, label in rendered] == list(range(len(SCENE_CLASSES)))
    assert {picture.size for picture, _ in rendered} == {(32, 32)}


@needs_font
def test_a_gallery_is_written_with_its_truth(tmp_path: Path) -> None:
    written = write_gallery(tmp_path, per_class=1, edge=64)
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [scene.file for scene in written]
    assert {path.name for path in tmp_path.glob("*.webp")} == {scene.file for scene in written}


def test_the_gallery_that_ships_is_whole_and_small() -> None:
    lines = truth()
    files = {path.name for path in GALLERY.glob("*.webp")}
    assert {line["file"] for line in lines} == files
    assert len(files) == len(lines) >= 300
    assert {line["label"] for line in lines} == {each.word for each in SCENE_CLASSES}
    assert sum(path.stat().st_size for path in GALLERY.iterdir()) < 8_000_000
    for line in lines:
        with Image.open(GALLERY / str(line["file"])) as picture:
            picture.load()


def test_nothing_of_the_gallery_is_trained_on() -> None:
    assert max(int(str(line["seed"])) for line in truth()) < GALLERY_SEEDS < VALIDATION_SEEDS


@needs_font
def test_the_gallery_that_ships_can_be_rendered_again() -> None:
    by_word = {each.word: each for each in SCENE_CLASSES}
    for line in truth()[::57]:
        with Image.open(GALLERY / str(line["file"])) as stored:
            shipped = np.asarray(stored.convert("RGB"), dtype=np.float32)
        rendered, setting = render(by_word[str(line["label"])], int(str(line["seed"])), shipped.shape[0])
        assert setting == line["setting"]
        # WebP at quality 80 loses a little; another picture differs by 40 and more.
        assert np.abs(np.asarray(rendered, dtype=np.float32) - shipped).mean() < 5
