"""Measures a bundle as it serves: its own decoding, its own graph, its own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from embedder_service.bundle.reading import Bundle, WordTable
from embedder_service.errors import ImageError
from embedder_service.images import decode
from trainer.class_words import ClassWords, Vocabulary
from trainer.datasets import LabelledFile
from trainer.errors import EvaluationImpossible
from trainer.evaluation.truth import Truth
from trainer.words import WordSpace

__all__ = ["Embedded", "embed_truth", "vocabulary_of"]

_BATCH = 64


@dataclass(frozen=True)
class Embedded:
    """Images embedded by a bundle, and the keys of those that it could not read."""

    truth: Truth
    unreadable: tuple[str, ...]


def vocabulary_of(words: WordTable) -> Vocabulary:
    """A bundle's words as the measures take them."""
    return Vocabulary(WordSpace(words.words, words.vectors))


def embed_truth(
    bundle: Bundle,
    images: Iterable[LabelledFile],
    classes: Sequence[ClassWords],
    on_image: Callable[[], None] = lambda: None,
) -> Embedded:
    """Embeds labelled images; the classes of the result are those that at least one image shows.

    Raises:
        EvaluationImpossible: an image has a class that is not among ``classes``, or none can be read.
    """
    by_name = {each.name: each for each in classes}
    manifest = bundle.manifest
    vectors, names, pixels, unreadable = [], [], [], []
    for image in images:
        on_image()
        if image.label not in by_name:
            raise EvaluationImpossible(f"The image {image.key} is of {image.label!r}, which the labels do not have.")
        try:
            pixels.append(decode(image.content, size=manifest.input_size, resize=manifest.resize).pixels)
        except ImageError:
            unreadable.append(image.key)
            continue
        names.append(image.label)
        if len(pixels) == _BATCH:
            vectors.append(bundle.network(np.stack(pixels)))
            pixels.clear()
    if pixels:
        vectors.append(bundle.network(np.stack(pixels)))
    if not vectors:
        raise EvaluationImpossible("None of the images can be read. Check the folder or tar that was given.")
    shown = [name for name in by_name if name in set(names)]
    position = {name: number for number, name in enumerate(shown)}
    labels = np.array([position[name] for name in names], dtype=np.int64)
    truth = Truth(np.concatenate(vectors), labels, tuple(by_name[name] for name in shown))
    return Embedded(truth, tuple(unreadable))
