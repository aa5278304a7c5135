"""A made-up space with obvious figures: two kinds on axes of their own, two classes each."""

from __future__ import annotations

import numpy as np

from trainer.labels.class_words import ClassWords
from trainer.labels.space import Vocabulary, unit_rows
from trainer.measures.truth import Truth
from trainer.words.word_space import WordSpace

WORDS = ("the", "poodle", "terrier", "dog", "car", "truck", "vehicle")
CLASSES = (
    ClassWords("n1", "poodle", ("dog",)),
    ClassWords("n2", "terrier", ("dog",)),
    ClassWords("n3", "car", ("vehicle",)),
    ClassWords("n4", "truck", ("vehicle",)),
)
TAGGABLE = np.array([word != "the" for word in WORDS])


def space() -> WordSpace:
    vectors = np.zeros((len(WORDS), 8), dtype=np.float32)
    vectors[0, 7] = 1
    for kind, members, axis in (("dog", ("poodle", "terrier"), 0), ("vehicle", ("car", "truck"), 1)):
        vectors[WORDS.index(kind), axis] = 1
        for number, member in enumerate(members):
            vectors[WORDS.index(member), [axis, 2 + 2 * axis + number]] = 1
    return WordSpace(WORDS, unit_rows(vectors).astype(np.float16))


VOCABULARY = Vocabulary(space())


def perfect(images_each: int = 12) -> Truth:
    labels = np.repeat(np.arange(4), images_each)
    targets = np.stack([VOCABULARY.label_vector(each, 1) for each in CLASSES])
    noise = np.random.default_rng(0).normal(scale=0.02, size=(len(labels), 8))
    return Truth(unit_rows(targets[labels] + noise), labels[:, None], CLASSES)
