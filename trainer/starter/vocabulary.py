"""The starter's words: what people type for its classes, the whole vocabulary, and which entries may be tags.

A class's word is the commonest single word whose first sense is the class, or else WordNet's first name for it. Kinds
are its hypernyms, nearest first, if they are single words that people type for visible things; those above them
("artifact", "whole") describe no picture. A few exceptions are listed where WordNet's usage is not today's.

Contract of the vocabulary: lower case, most frequent first, each entry once; all words of the classes are in it, then
the commonest English words, then the commonest two-word nouns of WordNet. Frequencies are wordfreq's (Speer 2022). Its
estimate for a phrase comes from the single words, and would put "air well" before "swimming pool"; so phrases are
chosen by how often WordNet's tagged texts use them, and only ranked by that estimate. A plural is left out if the text
pipeline finds its singular, which makes room for rarer words.

An entry may be a tag if it is a noun, in the singular, whose first meaning is an animal, a plant, an artefact, food or
a natural object, and not one as general as "structure"; words that WordNet's definitions call rude are left out, and so
are people: a model of this size should not classify people. Phrases are for searching; only those of the classes are
tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle.reading import WordTable
from model.text.vocabulary import Vocabulary
from trainer.errors import UnknownLabel
from trainer.labels.class_words import ClassWords
from trainer.labels.sense_words import NO_PICTURE
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.words.wordnet import Category, Sense, WordNet

Zipf = Callable[[str], float]
"""How common a word or phrase is: the base-10 logarithm of its occurrences in 10⁹ words (van Heuven et al. 2014)."""
_COMMON_LABEL, _COMMON_KIND = 2.0, 2.8
_KINDS = 6
# By class: where the commonest word means something else to most people, or has another spelling.
_WORDS = {
    "n01984695": "spiny lobster",
    "n02231487": "stick insect",
    "n02279972": "monarch butterfly",
    "n02415577": "bighorn sheep",
    "n02509815": "red panda",
    "n02808440": "bathtub",
    "n02814533": "station wagon",
    "n02892201": "plaque",
    "n03085013": "computer keyboard",
    "n03089624": "candy store",
    "n03400231": "frying pan",
    "n03424325": "gas mask",
    "n03649909": "lawn mower",
    "n03670208": "limousine",
    "n03770439": "miniskirt",
    "n03902125": "payphone",
    "n03930313": "picket fence",
    "n04008634": "missile",
    "n04074963": "remote control",
    "n04356056": "sunglasses",
    "n04399382": "teddy bear",
    "n07614500": "ice cream",
}
# By class: kinds that the rules miss, since WordNet puts another meaning of the word first, or has a bus only as
# "public transport".
_KINDS_TOO = {
    "n01698640": ("alligator",),
    "n01983481": ("lobster", "crustacean"),
    "n01984695": ("lobster", "crustacean"),
    "n02132136": ("bear",),
    "n02415577": ("sheep",),
    "n02917067": ("train", "vehicle"),
    "n03201208": ("table",),
    "n04146614": ("bus", "vehicle"),
    "n04487081": ("bus", "vehicle"),
    "bus": ("vehicle",),
    "flower": ("plant",),
    "train": ("vehicle",),
    "tree": ("plant",),
}
# Kinds of two words that people do type.
_PHRASES = frozenset({"big cat", "musical instrument", "sports equipment"})
WORDS = 30_000
ENTRIES = 30_800  # so that, with 300 numbers of two bytes each, all stay under 18.5 MB
_WORD = re.compile(r"[a-z]{2,}|a|i")
_PHRASE = re.compile(r"[a-z]+ [a-z]+")
_VOWEL = re.compile(r"[aeiouy]")
_ABBREVIATION = 4.0  # Zipf that words of two letters or without a vowel must have: "tv" and "dvd", not "jb" and "smh"
_ANOTHER_WORD = 0.7  # a plural more frequent than its singular by this is not (only) its plural: "has" and "ha"
_EVERYWHERE = 5.8  # from this on, a noun is another word or says too little for a tag: "can", "world"; "house" has 5.7
_RUDE = re.compile(r"\b(obscene|slang|offensive|disparaging|derogatory|vulgar|ethnic slur|sexual)")
_SEEN = frozenset({Category.ANIMAL, Category.ARTIFACT, Category.FOOD, Category.NATURAL_OBJECT, Category.PLANT})
_ARTIFACTS_FROM_DEPTH = 6  # "container", "building"; above it are "structure" and "covering"


def label_words(photos: Path, wordnet: WordNet, zipf: Zipf) -> tuple[ClassWords, ...]:
    """Return the words of all classes: the photos' by their WordNet ids, then the scenes'.

    Raises:
        UnknownLabel: WordNet has no sense of an id or name.
    """
    ids = sorted(json.loads((photos / "classes.json").read_text(encoding="utf-8")))
    photo = [(wnid, _sense(wordnet, wnid)) for wnid in ids]
    return (
        *(_class(wnid, _WORDS.get(wnid) or _word(sense, wordnet, zipf), sense, wordnet, zipf) for wnid, sense in photo),
        *(_class(scene.word, scene.word, _named(wordnet, scene.synset), wordnet, zipf) for scene in SCENE_CLASSES),
    )


def _word(sense: Sense, wordnet: WordNet, zipf: Zipf) -> str:
    names = [lemma for lemma in sense.lemmas if not wordnet.is_scientific_name(lemma)] or list(sense.lemmas)
    single = [name for name in names if _is_first_sense(name, sense, wordnet) and " " not in name and "-" not in name]
    commonest = max(single, key=zipf, default=names[0])
    return (commonest if zipf(commonest) >= _COMMON_LABEL else names[0]).lower()


def _class(name: str, word: str, sense: Sense, wordnet: WordNet, zipf: Zipf) -> ClassWords:
    kinds = dict.fromkeys(_KINDS_TOO.get(name, ()))
    for _, kind in wordnet.ancestors(sense):
        names = [lemma for lemma in kind.lemmas if _is_kind(lemma, kind, wordnet, zipf)]
        if names:
            kinds[max(names, key=zipf).lower()] = None
    kinds.pop(word, None)
    if "vehicle" in kinds:
        kinds.pop("container", None)  # WordNet classifies whatever carries as a container
    return ClassWords(name, word, tuple(kinds)[:_KINDS])


def _is_kind(lemma: str, kind: Sense, wordnet: WordNet, zipf: Zipf) -> bool:
    if lemma in _PHRASES:
        return True
    return (
        lemma.isalpha()
        and lemma.lower() not in NO_PICTURE
        and zipf(lemma) >= _COMMON_KIND
        and _is_first_sense(lemma, kind, wordnet)
        and wordnet.is_mostly_noun(lemma)
    )


def _is_first_sense(lemma: str, sense: Sense, wordnet: WordNet) -> bool:
    return wordnet.senses(lemma)[0].wnid == sense.wnid


def _sense(wordnet: WordNet, wnid: str) -> Sense:
    try:
        return wordnet.sense(wnid)
    except KeyError as error:
        raise UnknownLabel(f"WordNet 3.0 has no noun {wnid}. Are the classes named by its ids?") from error


def _named(wordnet: WordNet, name: str) -> Sense:
    """Return the sense of a name such as "boat.n.01"."""
    word, _, number = name.split(".")
    senses = wordnet.senses(word)
    if len(senses) < int(number):
        raise UnknownLabel(f"WordNet 3.0 has no sense {name}.")
    return senses[int(number) - 1]


def vocabulary(
    labels: Iterable[ClassWords],
    frequent: Iterable[str],
    wordnet: WordNet,
    zipf: Zipf,
    words: int = WORDS,
    entries: int = ENTRIES,
) -> tuple[str, ...]:
    """Return the entries, most frequent first; equally frequent ones alphabetically.

    `frequent`: words by frequency, of any number. `words`: number of single words; `entries`: maximum number including
    phrases.
    """
    own = dict.fromkeys(word for each in labels for word in each.words)
    pool = list(islice((word for word in frequent if _is_word(word, zipf)), 2 * words))
    plurals = _plurals(pool, wordnet, zipf)
    chosen = dict.fromkeys(word for word in own if _WORD.fullmatch(word))
    for word in pool:
        if len(chosen) >= words:
            break
        if word not in plurals:
            chosen[word] = None
    phrases = dict.fromkeys(word for word in own if word not in chosen)
    for phrase in _attested_phrases(wordnet, zipf):
        if len(chosen) + len(phrases) >= entries:
            break
        if all(word in chosen for word in phrase.split()):
            phrases[phrase] = None
    return tuple(sorted((*chosen, *phrases), key=lambda word: (-zipf(word), word)))


def taggable(words: Sequence[str], labels: Iterable[ClassWords], wordnet: WordNet, zipf: Zipf) -> NDArray[np.bool_]:
    """Return which entries may be tags; the words of the classes always may."""
    own = {word for each in labels for word in each.words}
    return np.array(
        [
            word in own or (" " not in word and zipf(word) < _EVERYWHERE and _names_a_thing(word, wordnet))
            for word in words
        ],
        dtype=np.bool_,
    )


def _is_word(word: str, zipf: Zipf) -> bool:
    return bool(_WORD.fullmatch(word) and ((len(word) > 2 and _VOWEL.search(word)) or zipf(word) >= _ABBREVIATION))


def _plurals(words: Sequence[str], wordnet: WordNet, zipf: Zipf) -> set[str]:
    """Return the words that the text pipeline would resolve as plurals of other words in the vocabulary."""
    singular_of = {}
    known = set(words)
    for word in words:
        singular = next(iter(wordnet.base_forms(word)), word)
        if singular != word and singular in known and zipf(word) - zipf(singular) < _ANOTHER_WORD:
            singular_of[word] = singular
    rest = tuple(word for word in words if word not in singular_of)
    table = WordTable(rest, np.zeros((len(rest), 1), np.float16), np.zeros(len(rest), np.bool_))
    pipeline = Vocabulary(table)
    found = {word: pipeline.find(word) for word in singular_of}
    return {word for word, row in found.items() if row is not None and rest[row] == singular_of[word]}


def _attested_phrases(wordnet: WordNet, zipf: Zipf) -> Iterator[str]:
    """Yield two-word names of things that the tagged texts use, the most used first."""
    uses = {
        lemma: wordnet.uses_as_noun(lemma)
        for sense in wordnet.all_senses()
        for lemma in sense.lemmas
        if _PHRASE.fullmatch(lemma) and _names_a_thing(lemma, wordnet)
    }
    yield from sorted((phrase for phrase in uses if uses[phrase]), key=lambda each: (-uses[each], -zipf(each), each))


def _names_a_thing(word: str, wordnet: WordNet) -> bool:
    senses = wordnet.senses(word)
    if not senses or len(word) < 3 or wordnet.base_forms(word) != (word,) or not wordnet.is_mostly_noun(word):
        return False
    return _is_seen(senses[0], wordnet) and not _RUDE.search(senses[0].definition)


def _is_seen(sense: Sense, wordnet: WordNet) -> bool:
    if sense.is_instance or sense.category not in _SEEN:
        return False
    return sense.category != Category.ARTIFACT or wordnet.depth(sense) >= _ARTIFACTS_FROM_DEPTH
