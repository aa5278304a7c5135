"""A pretrained classifier as a baseline, with classifiers with obvious answers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.made_up_space import CLASSES, VOCABULARY
from tests.unit.trainer.small_wordnet import WORDNET
from trainer.data_sets.reading import LabelledFile
from trainer.errors import BackboneUnusable
from trainer.evaluation import teacher
from trainer.evaluation.baselines import softmax
from trainer.evaluation.teacher import output_labels, place_images, tflite_classifier
from trainer.labels.class_words import ClassWords

RED, BLUE = (255, 0, 0), (0, 0, 255)


class RedOrBlue:
    """Its second output is for red, its third for blue; the first is the background."""

    input_size = 8

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        means = pixels.mean(axis=(1, 2))
        return np.stack([np.full(len(pixels), 0.5), means[:, 0] / 510, means[:, 2] / 510], axis=1).astype(np.float32)


def picture(color: tuple[int, int, int]) -> LabelledFile:
    file = io.BytesIO()
    Image.new("RGB", (20, 12), color).save(file, "PNG")
    return LabelledFile("any.png", file.getvalue(), ("any",))


def test_images_lie_on_their_certain_known_label() -> None:
    labels = output_labels(["background", "Poodle, Canis familiaris", "automobile, car"], (), VOCABULARY, 1)
    assert labels == (None, ClassWords("poodle", "poodle"), ClassWords("car", "car"))
    vectors = place_images(RedOrBlue(), [picture(RED), picture(BLUE)], labels, VOCABULARY, 1)
    assert vectors == pytest.approx(VOCABULARY.vectors(["poodle", "car"]), abs=1e-3)


def test_outputs_get_their_classs_words_or_their_nearest_kinds() -> None:
    classes = (ClassWords("n00000004", "truck", ("vehicle",)),)
    labels = output_labels(["poodle, standard poodle", "car, motor vehicle", "galaxy"], classes, VOCABULARY, 1, WORDNET)
    assert labels == (ClassWords("n00000001", "poodle", ("dog",)), classes[0], None)
    assert labels[0] != CLASSES[0]


class _Network:
    """Stands in for a network in a file: outputs are the first two numbers of the picture, in quarters."""

    def __init__(self, file: Path, *, input_size: int) -> None:
        self._size = input_size

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        outputs: np.ndarray = pixels[:, 0, 0, :2].astype(np.float32) / 4
        return outputs


def test_a_tflite_classifier_turns_logits_into_probabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "TfliteBackbone", _Network)
    classifier = tflite_classifier(tmp_path / "net.tflite", 2)
    assert classifier.input_size == 2
    pictures = np.array([np.full((2, 2, 3), (1, 3, 0)), np.full((2, 2, 3), (4, 0, 0))], dtype=np.uint8)
    assert classifier(pictures).tolist() == [[0.25, 0.75], [1, 0]]
    assert classifier(pictures * 4) == pytest.approx(softmax(np.array([[1, 3], [4, 0]], np.float32)))


@pytest.mark.parametrize("content", [None, b"no network"])
def test_a_file_that_is_not_a_network_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "net.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BackboneUnusable, match="tflite classifier of uint8"):
        tflite_classifier(path)
