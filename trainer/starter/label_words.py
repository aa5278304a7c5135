"""Which word people type for each of the starter's classes, and for the kinds it belongs to, from WordNet.

The word is the commonest single word that means the class before anything else, or else the first name that WordNet
gives it. Kinds are its hypernyms, nearest first, as far as they are single words that people type for things they can
see; what is above them ("artifact", "whole") names no picture. A few exceptions are listed where WordNet's English is
not ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from trainer.labels.class_words import ClassWords
from trainer.starter.errors import UnknownLabel
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.words.wordnet import Sense, WordNet

__all__ = ["NO_PICTURE", "Zipf", "label_words"]

Zipf = Callable[[str], float]
"""How common a word or phrase is: the base-10 logarithm of its occurrences in 10⁹ words (van Heuven et al. 2014)."""

_COMMON_LABEL, _COMMON_KIND = 2.0, 2.8
_KINDS = 6

# By class: where the commonest word says another thing to most people, or is written otherwise.
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
# By class: kinds that the rules miss, since WordNet puts another meaning of the word first, or thinks of a bus as of
# "public transport" only.
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


def label_words(photos: Path, wordnet: WordNet, zipf: Zipf) -> tuple[ClassWords, ...]:
    """The words of all classes: the photos' by their WordNet ids, then the scenes'.

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
        kinds.pop("container", None)  # WordNet holds that what carries contains
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
    """The sense of a name such as "boat.n.01"."""
    word, _, number = name.split(".")
    senses = wordnet.senses(word)
    if len(senses) < int(number):
        raise UnknownLabel(f"WordNet 3.0 has no sense {name}.")
    return senses[int(number) - 1]
