"""Nouns of WordNet 3.0: their senses, kinds, definitions and how often each part of speech occurs.

Contract: everything is read once into immutable values; a sense is named by its *wnid* (`n02085620`: "n" and the
eight-digit offset in `data.noun`), which is how ImageNet names its classes. Words are looked up in lower case with
spaces; lemmas are returned as WordNet spells them ("Chihuahua", "golden retriever").

The files are Debian's `wordnet-base`, format wndb(5WN) and cntlist(5WN). NLTK's reader is not used: it also needs
`lexnames` and `index.sense`, which that package does not have.

Source: Fellbaum (ed.), WordNet: An Electronic Lexical Database, 1998. Needed to make the starter, never to run it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from trainer.errors import WordNetMissing

DEFAULT_FOLDER = Path("/usr/share/wordnet")

_NOUN = 1  # the part of speech in a sense key: 1 noun, 2 verb, 3 adjective, 4 adverb, 5 adjective satellite

# Rules of detachment for nouns, morphy(7WN).
_NOUN_ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)


class Category(IntEnum):
    """The lexicographer files of nouns for visible things, lexnames(5WN)."""

    TOP = 3
    ANIMAL = 5
    ARTIFACT = 6
    BODY = 8
    FOOD = 13
    NATURAL_OBJECT = 17
    PERSON = 18
    PHENOMENON = 19
    PLANT = 20


@dataclass(frozen=True, slots=True)
class Sense:
    """One meaning of a noun (a synset).

    `category` is the number of its lexicographer file; `hypernyms` are the wnids of the kinds it belongs to, empty for
    a named instance (Paris, Einstein), which WordNet links as an instance, not as a kind.
    """

    wnid: str
    category: int
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]
    is_instance: bool
    definition: str


class WordNet:
    """The nouns, by sense and by word."""

    def __init__(
        self,
        senses: Mapping[str, Sense],
        senses_of_word: Mapping[str, tuple[str, ...]],
        uses: Mapping[str, Mapping[int, int]],
        irregular: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._senses = senses
        self._senses_of_word = senses_of_word
        self._uses = uses
        self._irregular = irregular

    @classmethod
    def read(cls, folder: Path = DEFAULT_FOLDER) -> WordNet:
        """Read `data.noun`, `index.noun`, `cntlist.rev` and `noun.exc` (about a second).

        Raises:
            WordNetMissing: a file does not exist.
        """
        try:
            senses = {sense.wnid: sense for sense in map(_sense, _records(folder / "data.noun"))}
            index = dict(map(_index_entry, _records(folder / "index.noun")))
            uses = _uses(_records(folder / "cntlist.rev"))
            irregular = {form: tuple(bases) for form, *bases in map(str.split, _records(folder / "noun.exc"))}
        except FileNotFoundError as error:
            raise WordNetMissing(
                f"WordNet's file {error.filename} does not exist, so the kinds of things are unknown. "
                "Install the Debian package wordnet-base, or name the folder that holds data.noun."
            ) from error
        return cls(senses, index, uses, irregular)

    def sense(self, wnid: str) -> Sense:
        """Return the sense of a wnid. Raises KeyError if WordNet 3.0 has none."""
        return self._senses[wnid]

    def all_senses(self) -> Iterable[Sense]:
        """Return every sense of every noun."""
        return self._senses.values()

    def senses(self, word: str) -> tuple[Sense, ...]:
        """Return the noun senses of a word as it is written, most used first; empty if WordNet has no such noun."""
        return tuple(self._senses[wnid] for wnid in self._senses_of_word.get(_key(word), ()))

    def base_forms(self, word: str) -> tuple[str, ...]:
        """Return the WordNet nouns that a word is a form of, itself first: "magpies" → ("magpie",)."""
        candidates = (_key(word), *self._irregular.get(_key(word), ()), *noun_bases(_key(word)))
        known = dict.fromkeys(base for base in candidates if base in self._senses_of_word)
        return tuple(base.replace("_", " ") for base in known)

    def is_mostly_noun(self, word: str) -> bool:
        """Return whether the tagged texts behind WordNet use the word as a noun at least as often as otherwise."""
        uses = self._uses.get(_key(word), {})
        return 2 * uses.get(_NOUN, 0) >= sum(uses.values())

    def uses_as_noun(self, word: str) -> int:
        """Return how often the tagged texts behind WordNet use a word or phrase as a noun."""
        return self._uses.get(_key(word), {}).get(_NOUN, 0)

    def depth(self, sense: Sense) -> int:
        """Return how many kinds a sense is below the top, by the longest way: "entity" 0, "artifact" 4, "vehicle" 7."""
        return max((1 + self.depth(self._senses[wnid]) for wnid in sense.hypernyms), default=0)

    def ancestors(self, sense: Sense) -> Iterator[tuple[int, Sense]]:
        """Yield every kind that a sense belongs to, with its distance (1 is the nearest), breadth first, each once."""
        seen = {sense.wnid}
        level = [sense]
        distance = 0
        while level:
            distance += 1
            parents = dict.fromkeys(wnid for child in level for wnid in child.hypernyms if wnid not in seen)
            seen.update(parents)
            level = [self._senses[wnid] for wnid in parents]
            for parent in level:
                yield distance, parent

    def senses_with_lemmas(self, lemmas: Sequence[str]) -> tuple[Sense, ...]:
        """Return the senses that have all the lemmas; lists of ImageNet's classes identify senses by these."""
        wanted = {lemma.casefold() for lemma in lemmas}
        return tuple(
            sense for sense in self.senses(lemmas[0]) if wanted <= {lemma.casefold() for lemma in sense.lemmas}
        )

    def is_scientific_name(self, lemma: str) -> bool:
        """Return whether a lemma is a scientific name ("Carassius auratus"): its first word is a genus."""
        genus, _, species = lemma.partition(" ")
        return bool(species) and genus[:1].isupper() and _key(f"genus {genus}") in self._senses_of_word


def noun_bases(word: str) -> Iterator[str]:
    """Yield what a regular plural may be the plural of, right or wrong: "boxes" → "boxe", "box"."""
    for ending, replacement in _NOUN_ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            yield word.removesuffix(ending) + replacement


def _key(word: str) -> str:
    return word.lower().replace(" ", "_")


def _records(path: Path) -> Iterator[str]:
    with path.open(encoding="latin-1") as lines:
        # The licence at the top of each file is indented; records are not.
        yield from (line for line in lines if line.strip() and not line.startswith("  "))


def _sense(record: str) -> Sense:
    fields, _, gloss = record.partition("|")
    offset, category, _, lemma_count, *rest = fields.split()
    lemma_fields = 2 * int(lemma_count, 16)
    lemmas = tuple(lemma.replace("_", " ") for lemma in rest[:lemma_fields:2])
    pointers = rest[lemma_fields + 1 :]
    kinds = list(zip(pointers[::4], pointers[1::4], strict=False))
    # Examples of use follow the definition, in quotation marks.
    definition = gloss.partition('; "')[0].strip()
    return Sense(
        wnid=f"n{offset}",
        category=int(category),
        lemmas=lemmas,
        hypernyms=tuple(f"n{target}" for symbol, target in kinds if symbol == "@"),
        is_instance=any(symbol == "@i" for symbol, _ in kinds),
        definition=definition,
    )


def _index_entry(record: str) -> tuple[str, tuple[str, ...]]:
    # lemma pos senses pointers [symbols …] senses tagged offsets…
    lemma, _, sense_count, *rest = record.split()
    return lemma, tuple(f"n{offset}" for offset in rest[-int(sense_count) :])


def _uses(records: Iterator[str]) -> dict[str, dict[int, int]]:
    uses: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for record in records:
        key, _, count = record.split()
        lemma, _, location = key.partition("%")
        uses[lemma][int(location.partition(":")[0])] += int(count)
    return {lemma: dict(counts) for lemma, counts in uses.items()}
