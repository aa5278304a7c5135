"""A WordNet of a few dozen nouns, shaped like the real one, for tests that run without it.

The scenes' words that are not in the list are containers, so that every class of the catalogue has its synset.
"""

from __future__ import annotations

import pytest

from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.words.wordnet import Category, Sense, WordNet

# Lemmas, category, the first lemma of the kind it belongs to, and a definition where one is looked at.
NOUNS: tuple[tuple[str, int, str | None, str], ...] = (
    ("entity", 3, None, ""),
    ("object", 3, "entity", ""),
    ("whole", 3, "object", ""),
    ("artifact", 3, "whole", ""),
    ("structure", 6, "artifact", ""),
    ("instrumentality", 6, "artifact", ""),
    ("container", 6, "instrumentality", ""),
    ("bucket", 6, "container", ""),
    ("conveyance", 6, "instrumentality", ""),
    ("vehicle", 6, "conveyance", ""),
    ("wheeled vehicle", 6, "container", ""),
    ("car,auto", 6, "vehicle", ""),
    ("sports car", 6, "car", ""),
    ("air well", 6, "container", ""),
    ("living thing", 3, "whole", ""),
    ("organism", 3, "living thing", ""),
    ("animal,beast", 5, "organism", ""),
    ("chordate", 5, "animal", ""),
    ("fish", 5, "chordate", ""),
    ("genus Carassius", 5, "fish", ""),
    ("goldfish,Carassius auratus", 5, "fish", "small golden or orange-red fish"),
    ("tench", 5, "fish", "freshwater food fish of Europe"),
    ("bird", 5, "chordate", ""),
    ("magpie", 5, "bird", "long-tailed black-and-white crow"),
    ("dog", 5, "chordate", ""),
    ("bitch", 5, "dog", "(slang) an unpleasant dog"),
    ("lawyer", 18, "organism", ""),
    ("idea", 9, "entity", ""),
    ("run", 4, "entity", ""),
    ("sea", 17, "object", ""),
    ("Paris", 15, "object", ""),
    ("doe", 5, "chordate", ""),
    ("Carassius gibelio,gibel carp", 5, "fish", ""),
)
USES = {"run": {1: 1, 2: 9}, "sports_car": {1: 3}, "air_well": {}, "dog": {1: 5}}


def wnid(name: str) -> str:
    """The id of a noun by its first lemma."""
    numbers = {lemmas.split(",")[0]: number for number, (lemmas, *_) in enumerate(NOUNS, start=1)}
    return f"n{numbers[name]:08}"


@pytest.fixture
def wordnet() -> WordNet:
    senses = {}
    senses_of_word: dict[str, tuple[str, ...]] = {}
    for lemmas, category, kind, definition in NOUNS:
        names = tuple(lemmas.split(","))
        hypernyms = (wnid(kind),) if kind else ()
        senses[wnid(names[0])] = Sense(
            wnid(names[0]), Category(category) if category in set(Category) else category, names, hypernyms,
            names[0] == "Paris", definition,
        )  # fmt: skip
        for name in names:
            senses_of_word[name.lower().replace(" ", "_")] = (wnid(names[0]),)
    for number, scene in enumerate(SCENE_CLASSES):
        lemma, _, last = scene.synset.split(".")
        for place in range(len(senses_of_word.get(lemma, ())), int(last)):
            other = Sense(f"n9{number:03}{place:04}", Category.ARTIFACT, (lemma,), (wnid("container"),), False, "")
            senses[other.wnid] = other
            senses_of_word[lemma] = (*senses_of_word.get(lemma, ()), other.wnid)
    return WordNet(senses, senses_of_word, USES, {})
