"""A WordNet of a dozen nouns, for tests that run without the real one.

entity ─┬─ animal ─┬─ canine ── dog ─┬─ poodle, standard poodle
        │          │                 └─ terrier
        │          └─ bony fish ── trout
        └─ artifact ── vehicle ── car, motor vehicle
"""

from __future__ import annotations

from trainer.words.wordnet import Category, Sense, WordNet


def _sense(number: int, lemmas: str, *kinds: int) -> Sense:
    names = tuple(lemmas.split(", "))
    return Sense(f"n{number:08}", Category.ANIMAL, names, tuple(f"n{kind:08}" for kind in kinds), False, "")


_SENSES = (
    _sense(1, "poodle, standard poodle", 5),
    _sense(2, "terrier", 5),
    _sense(3, "trout", 9),
    _sense(4, "car, motor vehicle", 7),
    _sense(5, "dog", 12),
    _sense(6, "animal", 11),
    _sense(7, "vehicle", 8),
    _sense(8, "artifact", 11),
    _sense(9, "bony fish", 6),
    _sense(10, "galaxy", 11),
    _sense(11, "entity"),
    _sense(12, "canine", 6),
)
WORDNET = WordNet(
    {sense.wnid: sense for sense in _SENSES},
    {lemma.replace(" ", "_"): (sense.wnid,) for sense in _SENSES for lemma in sense.lemmas},
    {},
    {},
)
