"""From classes and a vocabulary to the targets of training.

Contract: a picture of a class should land on the mean of its word and its nearest kinds; it should be found by its
word (half of the weight) and by all of its kinds (the other half, shared evenly). Words drawn from the whole
vocabulary that belong to no class, nor to a label of several words, join the concepts, as what no picture should be
found by.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from trainer.labels.class_words import ClassWords, Vocabulary
from trainer.labels.space import LabelSpace

__all__ = ["label_space_of"]


def label_space_of(
    classes: Sequence[ClassWords],
    vocabulary: Vocabulary,
    nearest_kinds: int,
    foreign_words: int,
    seed: int = 0,
    spared: Collection[str] = frozenset(),
) -> LabelSpace:
    """The targets of some classes.

    ``nearest_kinds``: how many kinds are in a label's vector. ``foreign_words``: how many words of no class to draw.
    ``spared``: words of which nothing is to be learned.

    Raises:
        TrainingSetUnusable: a class has a word that gets no vector.
    """
    words = tuple(dict.fromkeys(word for each in classes for word in each.words))
    own_words = vocabulary.vectors(words)  # names every word that is unknown at once
    column = {word: number for number, word in enumerate(words)}
    own = {entry for word in words for entry in (word, *vocabulary.entries(word))}
    others = [word for word in vocabulary.words if word not in own and word not in spared]
    drawn = np.random.default_rng(seed).permutation(len(others))[:foreign_words]
    relevance = np.zeros((len(classes), len(words) + len(drawn)), dtype=np.float32)
    for row, each in enumerate(classes):
        kinds = [word for word in each.words if word != each.word]
        relevance[row, column[each.word]] = 0.5 if kinds else 1.0
        relevance[row, [column[kind] for kind in kinds]] = 0.5 / max(1, len(kinds))
    return LabelSpace(
        names=tuple(each.name for each in classes),
        vectors=np.stack([vocabulary.label_vector(each, nearest_kinds) for each in classes]),
        concepts=np.concatenate([own_words, vocabulary.vectors([others[number] for number in drawn])]),
        relevance=relevance,
    )
