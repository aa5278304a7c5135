"""Find the words of a vocabulary that are right for a WordNet sense, and turn a sense into a class.

A word is right for a picture of a sense if it is a lemma of the sense or of a kind up to five levels up, or the last
word of one ("great white shark": shark). The most general kinds are left out, since "object" is right for everything.
Words are in lower case.

ImageNet's thousand classes (Russakovsky et al. 2015) are such senses. A file of labels has one line per class with its
synset's lemmas ("tench, Tinca tinca"), in the order of the synsets' offsets; that order distinguishes classes of the
same name ("crane", the bird, comes before the machine). A first line "background" is a class without a name.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import TrainingSetUnusable
from trainer.labels.class_words import ClassWords
from trainer.labels.space import Vocabulary
from trainer.words.wordnet import Category, Sense, WordNet

LEVELS = 5
_GENERAL = frozenset(
    """
    abstraction area artefact artifact attribute being causal agent agency cause chordate commodity covering creation
    creature entity good group instrumentality instrumentation living thing location matter natural object object
    organism part physical entity physical object piece placental placental mammal product production psychological
    feature region relation substance structure construction thing unit vertebrate craniate whole
    """.split()  # noqa: SIM905 — a list of fifty quoted words is harder to read
) | {"living thing", "natural object", "physical entity", "physical object", "causal agent", "placental mammal"}
# Kinds that name no picture, and words whose first meaning in WordNet is not the first today.
NO_PICTURE = frozenset(
    """
    arthropod artifact artefact animate being beast bracket brute chordate commodity connector covering creature device
    entity fabric facility fluid fixture geosphere goods hose housing implement instrumentation instrumentality
    invertebrate liquid material matter mechanism medium merchandise module obstruction object organism part
    peripheral placental prison ridge rod shield solid substance strip structure support surface swine system thing
    gator timekeeper timepiece unit vertebrate ware whole wheel obstacle trap comestible edible entanglement
    foodstuff lodging murphy nourishment nutriment outlet portion relation seasoning
    sustenance warmer
    """.split()  # noqa: SIM905 — a list of eighty quoted words is harder to read
)
_GENERAL_ABOVE = 6  # "organism", "instrumentality" and "structure" are 5 below the top; "animal" and "vehicle" are more
_SHALLOW = frozenset({Category.FOOD, Category.PLANT})


def lemmas_of(sense: Sense) -> tuple[str, ...]:
    """Return the names of a sense, in lower case."""
    return tuple(dict.fromkeys(lemma.lower() for lemma in sense.lemmas))


def right_words(sense: Sense, wordnet: WordNet) -> frozenset[str]:
    """Return the words that are right for a picture of a sense."""
    return frozenset(_with_last_words(lemmas_of(sense))) | frozenset(kinds_of(sense, wordnet))


def kinds_of(sense: Sense, wordnet: WordNet) -> tuple[str, ...]:
    """Return lemmas of the kinds up to five levels up, and their last words, nearest first, but the most general."""
    kinds = (kind for level, kind in wordnet.ancestors(sense) if level <= LEVELS)
    return tuple(dict.fromkeys(word for kind in kinds for word in _with_last_words(lemmas_of(kind))))


def label_of(sense: Sense, wordnet: WordNet, vocabulary: Vocabulary, kinds: int) -> ClassWords | None:
    """Return a sense as a class: its first known lemma, or else a last word, and its nearest known kinds.

    None if the vocabulary has no word for it. `kinds`: how many at most.
    """
    names = [word for word in (*lemmas_of(sense), *_with_last_words(lemmas_of(sense))) if word in vocabulary]
    if not names:
        return None
    known = [kind for kind in kinds_of(sense, wordnet) if kind in vocabulary and kind != names[0]]
    return ClassWords(sense.wnid, names[0], tuple(known[:kinds]))


def _with_last_words(lemmas: Iterable[str]) -> list[str]:
    words = [word for lemma in lemmas for word in (lemma, lemma.rpartition(" ")[2])]
    return [word for word in words if word not in _GENERAL]


@dataclass(frozen=True)
class FittingWords:
    """Words of a vocabulary that fit a class.

    `own`: its names. `kinds`: what people call the kinds it belongs to, nearest first. `further`: other names of
    these kinds, and of kinds that few people name.
    """

    own: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    further: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All the words."""
        return (*self.own, *self.kinds, *self.further)


def read_senses(labels: Path, wordnet: WordNet) -> tuple[Sense | None, ...]:
    """Return the sense of each line; None for the background.

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
            raise TrainingSetUnusable(f"{labels}: WordNet 3.0 has no noun with the names {line}.")
        sense = min(later or candidates, key=lambda each: each.wnid)
        senses.append(sense)
        latest = sense.wnid
    return tuple(senses)


def fitting_words(sense: Sense, wordnet: WordNet, vocabulary: Container[str]) -> FittingWords:
    """Return the words of a vocabulary that fit a class.

    Its names are its lemmas or, if the vocabulary has none, their last words ("tiger shark": "shark"). Its kinds are
    its hypernyms except the most general ones, by nouns whose first sense they are. Further words are all lemmas of
    hypernyms up to five levels up, and their last words.
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
