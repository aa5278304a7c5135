"""Find the words of a vocabulary that are right for a picture, according to its captions.

Contract: a word in two captions of a picture is right for it; a word in only one caption is neither right nor wrong,
since people see different things in a picture; a word in no caption is wrong. Words are looked up as queries look them
up, so that `dogs` is `dog` where the vocabulary has no `dogs`; where it has both, a caption with the plural has the
singular too. A phrase of the vocabulary is one word, and its parts count as words too. Function words are left out. A
caption with a man has "person"; one with several men, or with a group or crowd, has "people".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import QueryError
from model.text.function_words import FUNCTION_WORDS
from model.text.phrases import join_phrases, split_tokens
from model.text.query import Term, parse
from model.text.vocabulary import Vocabulary

RIGHT, WRONG, NEITHER = 1, 0, -1
_AGREEING = 2
_ONE_PERSON = frozenset({"man", "woman", "boy", "girl", "child", "player"})
_SEVERAL_PERSONS = frozenset({"men", "women", "boys", "girls", "children", "players", "people"})
_GROUPS = frozenset({"group", "crowd"})


@dataclass(frozen=True)
class CaptionWords:
    """The words in the captions of pictures.

    `words`: the w words that at least one caption has, in the order of the vocabulary. `rows`: (w), their rows in it.
    `shown`: int8 (images, w): 1 right, 0 wrong, −1 neither.
    """

    words: tuple[str, ...]
    rows: NDArray[np.int64]
    shown: NDArray[np.int8]


def words_of_captions(captions: Sequence[Sequence[str]], vocabulary: Vocabulary) -> CaptionWords:
    """Return which words the captions of each picture have; a caption too long for a query has none."""
    reader = _Reader(vocabulary)
    counts: list[dict[int, int]] = []
    for of_picture in captions:
        count: dict[int, int] = {}
        for caption in of_picture:
            for row in reader.rows_of(caption):
                count[row] = count.get(row, 0) + 1
        counts.append(count)
    rows = sorted({row for count in counts for row in count})
    column_of = {row: column for column, row in enumerate(rows)}
    shown = np.full((len(counts), len(rows)), WRONG, dtype=np.int8)
    for picture, count in enumerate(counts):
        for row, times in count.items():
            shown[picture, column_of[row]] = RIGHT if times >= _AGREEING else NEITHER
    return CaptionWords(tuple(vocabulary.table.words[row] for row in rows), np.array(rows, dtype=np.int64), shown)


class _Reader:
    """Finds the rows of a caption's words, and caches the result for each word."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._person, self._people = vocabulary.find("person"), vocabulary.find("people")
        self._rows: dict[str, tuple[int, ...]] = {}

    def rows_of(self, caption: str) -> set[int]:
        try:
            terms = parse(caption)
            meant = join_phrases(split_tokens(terms, self._vocabulary), self._vocabulary)
        except QueryError:
            return set()
        found = {row for term in meant for row in self._rows_of_term(term.text)}
        person, people = _mentions_people(terms)
        found |= {
            row for row, mentioned in ((self._person, person), (self._people, people)) if mentioned and row is not None
        }
        return found

    def _rows_of_term(self, text: str) -> tuple[int, ...]:
        if text not in self._rows:
            self._rows[text] = tuple(self._look_up(text))
        return self._rows[text]

    def _look_up(self, text: str) -> Iterator[int]:
        row = None if text.casefold() in FUNCTION_WORDS else self._vocabulary.find(text)
        if row is not None and self._vocabulary.table.words[row] not in FUNCTION_WORDS:
            yield row
            singular = self._vocabulary.singular(row)
            if singular is not None:
                yield singular
        parts = text.split() if " " in text else text.split("-")
        if len(parts) > 1 and (row is None or " " in text):
            for part in parts:
                yield from self._rows_of_term(part)


def _mentions_people(terms: Sequence[Term]) -> tuple[bool, bool]:
    """Return whether a caption mentions a person, and whether several."""
    texts = (term.text.casefold().replace("-", " ").replace("’", "'") for term in terms)
    words = [word.strip(".!?:'").removesuffix("'s") for text in texts for word in text.split()]
    one = sum(word in _ONE_PERSON for word in words)
    several = not _SEVERAL_PERSONS.isdisjoint(words)
    return one > 0 or several, one > 1 or several or not _GROUPS.isdisjoint(words)
