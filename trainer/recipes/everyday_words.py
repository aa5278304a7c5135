"""Choose the words that may be tags: trained words that name something visible.

Contract: a tag is a word of a class, of a scene, or a noun that captions agree on for enough pictures. People are
tagged as people: a model of this size should not classify people, so "woman" finds pictures but is not a tag.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace

from trainer.labels.caption_words import RIGHT, CaptionWords
from trainer.labels.class_words import ClassWords
from trainer.labels.sense_words import NO_PICTURE, FittingWords
from trainer.words.wordnet import Category, Sense, WordNet

_LEAST_PICTURES = 12
_LEAST_DEPTH = 5  # in WordNet: an "animal" has 6, a "vehicle" 7; an "artifact" has 4 and an "object" 2
_KINDS = 3
_NAMES = 2  # of a class
# Rank in the vocabulary: "weapon" is more frequent and "weaponry" is not, "footwear" is and "wearable" is not.
_KNOWN_KINDS = 15_000
_NO_TAG = frozenset(
    {
        "equipment", "essence", "individual", "instrument", "leader", "mortal", "partner", "somebody", "someone",
        "soul", "worker",
    }
)  # fmt: skip
_LOCATION, _SUBSTANCE = 15, 27  # lexnames(5WN)
_SEEN = frozenset(
    {
        Category.ANIMAL, Category.ARTIFACT, Category.FOOD, Category.NATURAL_OBJECT, Category.PHENOMENON,
        Category.PLANT, _LOCATION, _SUBSTANCE,
    }
)  # fmt: skip
_PEOPLE = frozenset({"person", "people", "child", "crowd"})
# Visible things that WordNet classifies as an event or a time.
_MOMENTS = frozenset({"night", "rainbow", "sunrise", "sunset", "wave"})
# Sports that captions name: WordNet classifies them as acts, like "run" and "look".
_SPORTS = frozenset(
    {
        "baseball", "basketball", "bicycling", "climbing", "football", "hockey", "rugby", "sailing", "skateboarding",
        "skating", "skiing", "sledding", "snowboarding", "soccer", "surfing", "swimming", "tennis", "volleyball",
        "wrestling",
    }
)  # fmt: skip
# Nouns whose first sense is visible but that say nothing about a picture.
_SAYS_NOTHING = NO_PICTURE | frozenset(
    {
        "area", "back", "background", "base", "bottom", "center", "corner", "cover", "distance", "edge", "end", "face",
        "foreground", "front", "frame", "ground", "ledge", "middle", "obstacle", "outdoors", "outside", "pattern",
        "picture", "photo", "place", "platform", "side", "stripe", "top", "toy", "track", "view", "way",
    }
)  # fmt: skip


def caption_tags(words: CaptionWords, wordnet: WordNet) -> frozenset[str]:
    """Return the words of captions that may be tags."""
    often = (words.shown == RIGHT).sum(axis=0) >= _LEAST_PICTURES
    return frozenset(word for word, enough in zip(words.words, often, strict=True) if enough and _is_tag(word, wordnet))


def class_tags(
    classes: Sequence[FittingWords], senses: Sequence[Sense], wordnet: WordNet, words: Sequence[str]
) -> frozenset[str]:
    """Return the words of a classifier's classes that may be tags.

    A class gives the two most frequent of its names whose first sense it is, or else its first name; and its kinds that
    have everyday words. `words` is the vocabulary, most frequent first.
    """
    rank = {word: number for number, word in enumerate(words)}
    tags: set[str] = set()
    for each, sense in zip(classes, senses, strict=True):
        meant = [word for word in each.own if [one.wnid for one in wordnet.senses(word)[:1]] == [sense.wnid]]
        tags |= {*(sorted(meant, key=rank.__getitem__)[:_NAMES] or each.own[:1])}
        tags |= {kind for kind in each.kinds if rank[kind] < _KNOWN_KINDS}
    return frozenset(tags - _NO_TAG)


def caption_classes(words: Iterable[str], wordnet: WordNet, tags: Container[str]) -> tuple[ClassWords, ...]:
    """Return words of captions as classes, with the kinds of things that they are: "dog" is an "animal" too."""
    return tuple(ClassWords(f"caption: {word}", word, _kinds(word, wordnet, tags)) for word in words)


def with_kinds(words: CaptionWords, wordnet: WordNet) -> CaptionWords:
    """Return the captions' words with their kinds: where "dog" is right, "animal" is right too.

    People name what they see, not its kind, so without this a head learns that dogs are not animals. Only words that
    occur in some caption are filled in.
    """
    column_of = {word: column for column, word in enumerate(words.words)}
    shown = words.shown.copy()
    for column, word in enumerate(words.words):
        for kind in _kinds_in(column_of, word, wordnet):
            shown[words.shown[:, column] == RIGHT, column_of[kind]] = RIGHT
    return replace(words, shown=shown)


def _kinds_in(known: Container[str], word: str, wordnet: WordNet) -> Iterator[str]:
    senses = [sense for base in wordnet.base_forms(word)[:1] for sense in wordnet.senses(base)[:1]]
    if senses and wordnet.is_mostly_noun(word):
        for kind, name in _named_kinds(senses[0], wordnet):
            if name in known and wordnet.depth(kind) >= _LEAST_DEPTH:
                yield name


def _is_tag(word: str, wordnet: WordNet) -> bool:
    if word in _PEOPLE | _SPORTS | _MOMENTS:
        return True
    senses = wordnet.senses(word)
    return (
        bool(senses)
        and word not in _SAYS_NOTHING
        and senses[0].category in _SEEN
        and wordnet.is_mostly_noun(word)
        and wordnet.base_forms(word)[:1] == (word,)
    )


def _kinds(word: str, wordnet: WordNet, tags: Container[str]) -> tuple[str, ...]:
    senses = wordnet.senses(word)
    if not senses or not wordnet.is_mostly_noun(word):
        return ()
    named = (name.lower() for _, name in _named_kinds(senses[0], wordnet))
    kinds = tuple(dict.fromkeys(name for name in named if name in tags and name != word))
    return kinds[:_KINDS]


def _named_kinds(sense: Sense, wordnet: WordNet) -> Iterator[tuple[Sense, str]]:
    """Yield the kinds above a sense, nearest first, each with its names whose first sense it is."""
    for _, kind in wordnet.ancestors(sense):
        for name in kind.lemmas:
            if wordnet.senses(name)[0].wnid == kind.wnid:
                yield kind, name
