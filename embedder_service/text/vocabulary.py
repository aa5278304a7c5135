"""Finds words as people write them in the vocabulary of a bundle, and suggests words for those that are not there.

Tried in turn: as written in lower case; without accents; hyphens as spaces, joined, and the reverse; without a
possessive 's; as a singular. Case never matters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from embedder_service.bundle.reading import WordTable

__all__ = ["Vocabulary"]

SUGGESTIONS = 3
_REMEMBERED = 4_096  # words; a search among 31,000 takes 10 ms
# Regular plurals of English and what makes a singular of them; the vocabulary itself says whether it is a word.
_PLURALS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""), ("men", "man"))
_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "geese": "goose",
    "mice": "mouse",
}  # fmt: skip


class Vocabulary:
    """Rows of words in a word table."""

    def __init__(self, table: WordTable) -> None:
        self.table = table
        self._rows = {word: row for row, word in reversed(list(enumerate(table.words)))}
        self.longest_phrase = max((_parts(word) for word in table.words), default=1)
        self.suggest = lru_cache(_REMEMBERED)(self._suggest)

    def find(self, text: str) -> int | None:
        """Returns the row of a word or phrase, or None."""
        for form in _forms(unicodedata.normalize("NFKC", text).casefold().strip(" .!?:'’")):
            row = self._rows.get(form)
            if row is not None:
                return row
        return None

    def has_phrase(self, text: str, parts: int) -> bool:
        """Returns whether a text stands for an entry of so many parts, between spaces or hyphens."""
        row = self.find(text)
        return row is not None and _parts(self.table.words[row]) == parts

    def singular(self, row: int) -> int | None:
        """Returns the row of a regular plural's singular, the most frequent it may be, or None."""
        word = self.table.words[row]
        if word.endswith("ss"):
            return None
        return min((self._rows[form] for form in _singulars(word) if form in self._rows), default=None)

    def _suggest(self, text: str) -> tuple[str, ...]:
        """Returns up to three words a few typing errors away, nearest first; of equals the more frequent first."""
        word = text.casefold()
        errors = 1 if len(word) < 5 else 2
        found = process.extract(
            word, self.table.words, scorer=DamerauLevenshtein.distance, score_cutoff=errors, limit=SUGGESTIONS
        )
        return tuple(str(match[0]) for match in found)


def _parts(word: str) -> int:
    return word.count(" ") + word.count("-") + 1


def _forms(text: str) -> Iterator[str]:
    """Yields the forms in which a word may stand in the vocabulary, the likeliest first."""
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))
    for form in dict.fromkeys((text, plain)):
        possessive = form.removesuffix("'s").removesuffix("’s")
        for word in dict.fromkeys((form, possessive)):
            for spelling in dict.fromkeys(
                (word, word.replace("-", " "), word.replace("-", ""), word.replace(" ", "-"))
            ):
                yield spelling
                yield from _singulars(spelling)
            yield word.replace(" ", "")


def _singulars(word: str) -> Iterator[str]:
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    for plural, singular in _PLURALS:
        if word.endswith(plural) and len(word) > len(plural) + 2:
            yield word.removesuffix(plural) + singular
