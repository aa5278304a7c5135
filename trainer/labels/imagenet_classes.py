"""The thousand classes of ImageNet (Russakovsky et al. 2015) as senses of WordNet, and the words that fit each.

A file of labels has a line a class, its synset's lemmas ("tench, Tinca tinca"), in the order of the synsets' offsets;
that order tells classes of the same name apart ("crane", the bird, comes before the machine). A first line
"background" is a class that names nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import TrainingSetUnusable
from trainer.labels.right_words import LEVELS
from trainer.starter.label_words import NO_PICTURE
from trainer.words.wordnet import Category, Sense, WordNet

__all__ = ["FittingWords", "fitting_words", "read_senses"]

_GENERAL_ABOVE = 6  # "organism", "instrumentality" and "structure" are 5 below the top; "animal" and "vehicle" are more
_SHALLOW = frozenset({Category.FOOD, Category.PLANT})


@dataclass(frozen=True)
class FittingWords:
    """Words of a vocabulary that fit a class.

    ``own``: its names. ``kinds``: what people call the kinds it belongs to, nearest first. ``further``: other names of
    these kinds, and of kinds that few people name.
    """

    own: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    further: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.own, *self.kinds, *self.further)


def read_senses(labels: Path, wordnet: WordNet) -> tuple[Sense | None, ...]:
    """The sense of each line; None for the background.

    Raises:
        TrainingSetUnusable: WordNet has no sense with the lemmas of a line.
    """
    senses: list[Sense | None] = []
    latest = ""
    for line in labels.read_text(encoding="utf-8").splitlines():
        if line == "background":
            senses.append(None)
            continue
        candidates = wordnet.senses_with_lemmas([lemma.strip() for lemma in line.split(",")])
        later = [sense for sense in candidates if sense.wnid > latest]
        if not candidates:
            raise TrainingSetUnusable(f"{labels}: WordNet 3.0 has no noun that is called {line}.")
        sense = min(later or candidates, key=lambda each: each.wnid)
        senses.append(sense)
        latest = sense.wnid
    return tuple(senses)


def fitting_words(sense: Sense, wordnet: WordNet, vocabulary: Container[str]) -> FittingWords:
    """The words of a vocabulary that fit a class.

    Its names are its lemmas; where the vocabulary has none, what they end with ("tiger shark": "shark"). Its kinds are
    its hypernyms but for the most general ones, by nouns that mean them before anything else. Further words are all
    lemmas of hypernyms up to five levels up, and what those end with.
    """
    own = _known(sense.lemmas, vocabulary) or _known(map(_last_word, sense.lemmas), vocabulary)
    kinds: dict[str, None] = {}
    further: dict[str, None] = {}
    for level, kind in wordnet.ancestors(sense):
        if kind.category not in _SHALLOW and wordnet.depth(kind) < _GENERAL_ABOVE:
            continue
        meant = [lemma for lemma in kind.lemmas if wordnet.senses(lemma)[0].wnid == kind.wnid]
        kinds |= dict.fromkeys(
            word for word in _known(meant, vocabulary) if word not in NO_PICTURE and wordnet.is_mostly_noun(word)
        )
        if level <= LEVELS:
            further |= dict.fromkeys(_known((*kind.lemmas, *map(_last_word, kind.lemmas)), vocabulary))
    kinds = {word: None for word in kinds if word not in own}
    return FittingWords(own, tuple(kinds), tuple(word for word in further if word not in own and word not in kinds))


def _known(words: Iterable[str], known: Container[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.lower() for word in words if word.lower() in known))


def _last_word(lemma: str) -> str:
    return lemma.replace("-", " ").split()[-1]
