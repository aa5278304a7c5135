"""A pretrained ImageNet classifier as a baseline: its likeliest labels' vectors, weighed by probability (ConSE).

Contract: a classifier maps pictures, uint8 (n, size, size, 3), to probabilities, float32 (n, outputs); its file of
labels has a line an output, names separated by commas. An output without a name in the vocabulary is never an answer.
The classifier may have been trained on the very photos that small pictures were made from, so its figures may be better
than on unseen pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.images import Resize, decode
from model.networks.tflite_backbone import TfliteBackbone
from trainer.data_sets.reading import LabelledFile
from trainer.errors import BackboneUnusable
from trainer.evaluation.baselines import conse_vectors, softmax
from trainer.labels.class_words import ClassWords
from trainer.labels.sense_words import label_of
from trainer.labels.space import Vocabulary
from trainer.words.wordnet import WordNet

_QUANTISED = 0.2
_FLOOR = np.float32(1e-6)


class Classifier(Protocol):
    """A network that scores the labels it was trained on."""

    @property
    def input_size(self) -> int:
        """Edge of the pictures in pixels."""

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the outputs' probabilities, (n, outputs), of pictures, uint8 (n, size, size, 3)."""


class _TfliteClassifier:
    def __init__(self, network: TfliteBackbone, input_size: int) -> None:
        self._network = network
        self.input_size = input_size

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = self._network(pixels)
        return outputs if _are_probabilities(outputs) else softmax(outputs)


def _are_probabilities(outputs: NDArray[np.float32]) -> bool:
    """Return whether the network ends in a softmax: quantised outputs sum to one only roughly."""
    return bool(outputs.min() >= 0 and np.abs(outputs.sum(axis=1) - 1).max() < _QUANTISED)


def tflite_classifier(path: Path, input_size: int = 224) -> Classifier:
    """Return a classifier in a .tflite file that takes uint8 pictures.

    Raises:
        BackboneUnusable: the file is not a classifier, or takes other input.
    """
    try:
        return _TfliteClassifier(TfliteBackbone(path, input_size=input_size), input_size)
    except (OSError, ValueError, RuntimeError) as error:
        raise BackboneUnusable(f"{path} is not a .tflite classifier of uint8 pictures: {error}") from error


def output_labels(
    lines: Iterable[str],
    classes: Sequence[ClassWords],
    vocabulary: Vocabulary,
    kinds: int,
    wordnet: WordNet | None = None,
) -> tuple[ClassWords | None, ...]:
    """Return the label of each output; None where the vocabulary has no word for it.

    An output that is one of the classes, by its sense in WordNet or by its name, has that class's words; any other has,
    with WordNet, its own and its nearest kinds, and without, the first of its names that is known.
    """
    by_name = {each.name: each for each in classes}
    by_word = {each.word: each for each in classes}
    labels: list[ClassWords | None] = []
    for line in lines:
        names = [name.strip() for name in line.split(",")]
        called = next((by_word[name.lower()] for name in names if name.lower() in by_word), None)
        sense = next(iter(wordnet.senses_with_lemmas(names)), None) if wordnet else None
        if wordnet and sense:
            labels.append(by_name.get(sense.wnid) or called or label_of(sense, wordnet, vocabulary, kinds))
        elif called:
            labels.append(called)
        else:
            known = [name.lower() for name in names if name.lower() in vocabulary]
            labels.append(ClassWords(known[0], known[0]) if known else None)
    return tuple(labels)


def place_images(
    classifier: Classifier,
    images: Iterable[LabelledFile],
    labels: Sequence[ClassWords | None],
    vocabulary: Vocabulary,
    kinds: int,
    on_image: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Return unit vectors (n, dimension) of readable images, placed by ConSE over the outputs with a label."""
    known = [number for number, label in enumerate(labels) if label]
    targets = np.stack([vocabulary.label_vector(label, kinds) for label in labels if label])
    probabilities = []
    for image in images:
        on_image()
        pixels = decode(image.content, size=classifier.input_size, resize=Resize.CENTER_CROP).pixels
        # A floor for images whose probability lies only on outputs without a word, so that they get some vector.
        probabilities.append(classifier(pixels[None])[0, known] + _FLOOR)
    return conse_vectors(np.stack(probabilities), targets)
