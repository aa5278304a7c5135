"""The starter's vocabulary: what people type, most frequent first, and which of it may be a tag.

Contract: lower case, each entry once; all words of the classes are in it, then the commonest English words, then the
commonest two-word nouns of WordNet. Frequencies are wordfreq's (Speer 2022), whose estimate for a phrase is made from
its words. An entry may be a tag if it is a noun, in the singular, whose first meaning is an animal, a plant, an
artefact, food or a natural object; words that WordNet's definitions call rude are left out, and so are people: a model
of this size should not say what somebody is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.class_words import ClassWords
from trainer.starter.label_words import Zipf
from trainer.starter.wordnet import Category, WordNet

__all__ = ["PHRASES", "WORDS", "taggable", "vocabulary"]

WORDS = 30_000
PHRASES = 300  # so that, with 300 numbers of two bytes each, all stay under 18.5 MB

_WORD = re.compile(r"[a-z]{2,}|a|i")
_PHRASE = re.compile(r"[a-z]+ [a-z]+")
_RUDE = re.compile(r"\b(obscene|slang|offensive|disparaging|derogatory|vulgar|ethnic slur|sexual)")
_SEEN = frozenset({Category.ANIMAL, Category.ARTIFACT, Category.FOOD, Category.NATURAL_OBJECT, Category.PLANT})


def vocabulary(
    labels: Iterable[ClassWords], frequent: Iterable[str], wordnet: WordNet, zipf: Zipf, words: int = WORDS
) -> tuple[str, ...]:
    """The entries, most frequent first; equally frequent ones by the alphabet.

    ``frequent``: words by frequency, as many as it takes. ``words``: entries besides the phrases of WordNet.
    """
    chosen = dict.fromkeys(word for each in labels for word in each.words)
    for word in frequent:
        if len(chosen) >= words:
            break
        if _WORD.fullmatch(word):
            chosen[word] = None
    pairs = {
        lemma
        for sense in wordnet.all_senses()
        if sense.category in _SEEN
        for lemma in sense.lemmas
        if _PHRASE.fullmatch(lemma) and all(word in chosen for word in lemma.split()) and lemma not in chosen
    }
    phrases = sorted(pairs, key=lambda pair: (-zipf(pair), pair))[:PHRASES]
    return tuple(sorted((*chosen, *phrases), key=lambda word: (-zipf(word), word)))


def taggable(words: Sequence[str], labels: Iterable[ClassWords], wordnet: WordNet) -> NDArray[np.bool_]:
    """Which entries may be tags; the words of the classes always may."""
    own = {word for each in labels for word in each.words}
    return np.array([word in own or _names_a_thing(word, wordnet) for word in words], dtype=np.bool_)


def _names_a_thing(word: str, wordnet: WordNet) -> bool:
    senses = wordnet.senses(word)
    if not senses or len(word) < 3 or wordnet.base_forms(word)[0] != word or not wordnet.is_mostly_noun(word):
        return False
    first = senses[0]
    singular = not any(base != word for base in wordnet.base_forms(word))
    return singular and first.category in _SEEN and not first.is_instance and not _RUDE.search(first.definition)
