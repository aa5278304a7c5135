"""Finds words as people write them in a bundle's vocabulary, and suggests words for unknown ones.

These forms are tried in turn: as written, in lower case; without accents; hyphens as spaces, removed, and spaces as
hyphens; without a possessive 's or any apostrophe; as a singular. Case never matters. Words with a space between them
never become one solid word: "a dam" is not "adam".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from model.bundle.reading import WordTable
from model.text.characters import normalize
from model.text.row_weights import row_weights
from model.text.suggestions import Speller

_CACHED_SUGGESTIONS = 4_096  # words; each costs a search of the whole vocabulary
_LONGEST_PHRASE = 6  # words; vocabularies of millions hold whole sentences
# Endings of regular English plurals and of their singulars; the result counts only if the vocabulary has it.
_PLURALS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""), ("men", "man"))
_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "geese": "goose",
    "mice": "mouse",
}  # fmt: skip


class Vocabulary:
    """Rows of words in a word table. `weights` are the weights of the rows in a mean, float32 (rows,)."""

    def __init__(self, table: WordTable) -> None:
        self.table = table
        self.weights = row_weights(len(table.words))
        self._rows = {word: row for row, word in reversed(list(enumerate(table.words)))}
        longest = max((word.count(" ") + word.count("-") + 1 for word in table.words), default=1)
        self.longest_phrase = min(longest, _LONGEST_PHRASE)
        self.suggest = lru_cache(_CACHED_SUGGESTIONS)(Speller(table.words, table.taggable).suggest)

    def has(self, text: str) -> bool:
        """Return whether a text is an entry, ignoring case."""
        return text.casefold() in self._rows

    def find(self, text: str) -> int | None:
        """Return the row of a word or phrase, or None."""
        written = normalize(text).casefold()
        row = self._rows.get(written)
        if row is not None:
            return row
        for form in _forms(written.strip(" .!?:'")):
            row = self._rows.get(form)
            if row is not None:
                return row
        return None

    def singular(self, row: int) -> int | None:
        """Return the row of a plural's most frequent singular, or None."""
        word = self.table.words[row]
        if word.endswith("ss"):
            return None
        return min((self._rows[form] for form in _singulars(word) if form in self._rows), default=None)


def _forms(text: str) -> Iterator[str]:
    """Yield the forms that a word may have in the vocabulary, the likeliest first."""
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))
    for form in dict.fromkeys((text, plain)):
        for word in dict.fromkeys((form, form.removesuffix("'s"), form.replace("'", ""))):
            for spelling in dict.fromkeys(
                (word, word.replace("-", " "), word.replace("-", ""), word.replace(" ", "-"))
            ):
                yield spelling
                yield from _singulars(spelling)


def _singulars(word: str) -> Iterator[str]:
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    for plural, singular in _PLURALS:
        if word.endswith(plural) and len(word) > len(plural) + 2:
            yield word.removesuffix(plural) + singular
