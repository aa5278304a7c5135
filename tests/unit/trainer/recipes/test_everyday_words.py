"""Words of captions with the kinds of things that they name."""

from __future__ import annotations

import numpy as np

from trainer.labels.caption_words import NEITHER, RIGHT, WRONG, CaptionWords
from trainer.recipes.everyday_words import with_kinds
from trainer.words.wordnet import Category, Sense, WordNet


def made_up() -> WordNet:
    """An animal is as deep as in WordNet: object (2) … organism (5), animal (6), dog (7); "run" is mostly a verb."""
    chain = ["entity", "physical entity", "object", "whole", "living thing", "organism", "animal", "dog", "puppy"]
    kinds = dict(zip(chain[1:], chain, strict=False)) | {"run": "animal"}
    senses = {
        name: Sense(name, Category.ANIMAL, (name,), (kinds[name],) if name in kinds else (), False, "")
        for name in (*chain, "run")
    }
    return WordNet(senses, {name.replace(" ", "_"): (name,) for name in senses}, {"run": {1: 1, 2: 9}}, {})


def test_the_kinds_of_what_captions_say_are_right_too() -> None:
    names = ("dog", "animal", "object", "run", "puppy")
    shown = np.array(
        [
            [RIGHT, WRONG, WRONG, WRONG, NEITHER],
            [WRONG, NEITHER, WRONG, RIGHT, RIGHT],
            [NEITHER, WRONG, WRONG, RIGHT, WRONG],
        ],
        np.int8,
    )
    given = CaptionWords(names, np.arange(len(names)), shown)
    found = with_kinds(given, made_up())
    assert found.shown.tolist() == [
        [RIGHT, RIGHT, WRONG, WRONG, NEITHER],  # a dog is an animal; that it is an object goes without saying
        [RIGHT, RIGHT, WRONG, RIGHT, RIGHT],  # a puppy is a dog and an animal
        [NEITHER, WRONG, WRONG, RIGHT, WRONG],  # one caption alone says too little, and to run is not a kind of animal
    ]
    assert given.shown[0, 1] == WRONG, "what captions say stays as it was"
