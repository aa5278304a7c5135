"""Which classes are taken for which, and what of it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from trainer.fitting.settings import HeadSettings
from trainer.plots import count_confusions, draw_confusion, draw_curves, most_confused_pairs

NAMES = ("cat", "dog", "car", "bus", "sea")


def test_images_are_counted_by_own_and_nearest_label() -> None:
    labels = np.array([[0], [0], [0], [1], [2]])
    found = count_confusions(labels, np.array([0, 1, 1, 0, 2]), NAMES)
    assert found.counts.sum() == 5
    assert most_confused_pairs(found, 9) == [("cat", "dog", 2, 3), ("dog", "cat", 1, 1)]
    assert most_confused_pairs(found, 1) == [("cat", "dog", 2, 3)]


def test_an_image_of_several_labels_is_right_under_any_of_them() -> None:
    labels = np.array([[0, 2], [0, 2], [1, -1]])
    found = count_confusions(labels, np.array([2, 3, 1]), NAMES)
    assert {(row, column) for row, column in zip(*np.nonzero(found.counts), strict=True)} == {(2, 2), (0, 3), (1, 1)}


def test_the_most_confused_of_many_classes_are_shown() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2, 3])[:, None]
    found = count_confusions(labels, np.array([0, 0, 1, 3, 3, 2, 1]), NAMES)
    assert found.of_most_confused(9).names == ("cat", "dog", "car", "bus")
    fewer = found.of_most_confused(2)
    assert fewer.names == ("car", "bus")
    np.testing.assert_array_equal(fewer.counts, [[1, 2], [0, 0]])
    assert fewer.images.tolist() == [3, 1]


def test_pictures_are_drawn_of_the_least_and_of_much(tmp_path: Path) -> None:
    draw_curves([{"epoch": 1, "loss": 0.5}], HeadSettings(), tmp_path / "curves.png")
    draw_confusion(np.array([[0]]), np.array([0]), ("cat",), tmp_path / "one.png")
    labels = np.random.default_rng(0).integers(200, size=(900, 1))
    names = tuple(f"class {number}" for number in range(200))
    for name in ("many", "again"):
        draw_confusion(labels, labels[::-1, 0], names, tmp_path / f"{name}.png")
    assert (tmp_path / "many.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as picture:
            assert 500 < min(picture.size) < max(picture.size) < 3000
