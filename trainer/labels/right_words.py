"""Which words are right for a picture of a WordNet sense, and how a sense is put into the space.

A word is right if it is a lemma of the sense or of a kind up to five levels up, or the last word of one ("great white
shark": shark); the most general kinds are left out, since "object" is right for everything and tells nothing. Words are
in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable

from trainer.labels.class_words import ClassWords, Vocabulary
from trainer.words.wordnet import Sense, WordNet

__all__ = ["LEVELS", "kinds_of", "label_of", "lemmas_of", "right_words"]

LEVELS = 5
_GENERAL = frozenset(
    """
    abstraction area artefact artifact attribute being causal agent agency cause chordate commodity covering creation
    creature entity good group instrumentality instrumentation living thing location matter natural object object
    organism part physical entity physical object piece placental placental mammal product production psychological
    feature region relation substance structure construction thing unit vertebrate craniate whole
    """.split()  # noqa: SIM905 — a list of fifty quoted words is harder to read
) | {"living thing", "natural object", "physical entity", "physical object", "causal agent", "placental mammal"}


def lemmas_of(sense: Sense) -> tuple[str, ...]:
    """The names of a sense, in lower case."""
    return tuple(dict.fromkeys(lemma.lower() for lemma in sense.lemmas))


def right_words(sense: Sense, wordnet: WordNet) -> frozenset[str]:
    """The words that are right for a picture of a sense."""
    return frozenset(_with_last_words(lemmas_of(sense))) | frozenset(kinds_of(sense, wordnet))


def kinds_of(sense: Sense, wordnet: WordNet) -> tuple[str, ...]:
    """Lemmas of the kinds up to five levels up, and their last words, nearest first; without the most general."""
    kinds = (kind for level, kind in wordnet.ancestors(sense) if level <= LEVELS)
    return tuple(dict.fromkeys(word for kind in kinds for word in _with_last_words(lemmas_of(kind))))


def label_of(sense: Sense, wordnet: WordNet, vocabulary: Vocabulary, kinds: int) -> ClassWords | None:
    """A sense as a class: its first lemma that the vocabulary has, or else a last word, and its nearest known kinds.

    None if the vocabulary has no word for it. ``kinds``: how many at most.
    """
    names = [word for word in (*lemmas_of(sense), *_with_last_words(lemmas_of(sense))) if word in vocabulary]
    if not names:
        return None
    known = [kind for kind in kinds_of(sense, wordnet) if kind in vocabulary and kind != names[0]]
    return ClassWords(sense.wnid, names[0], tuple(known[:kinds]))


def _with_last_words(lemmas: Iterable[str]) -> list[str]:
    words = [word for lemma in lemmas for word in (lemma, lemma.rpartition(" ")[2])]
    return [word for word in words if word not in _GENERAL]
