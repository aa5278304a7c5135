"""Suggests vocabulary words for a misspelled word.

There are two kinds of errors. Typing errors drop, double, swap and miss letters: edit distance, with a swap as one
edit, finds those. Others write what they hear, "elefantt": the right word sounds similar, spelled with one letter per
sound. The cost of a candidate is the mean of both distances. It is higher if the first or the last letter differs, and
lower if the word is frequent or names something visible: in a search for pictures, "monkey" is likelier than "money".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from math import log10

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

SUGGESTIONS = 3
# Longer tokens are not words, but pasted text or a script without spaces.
MAX_LENGTH = 40
_SOUND_LETTERS = 4  # one in this many sounds may differ
_SOUNDS = (
    ("sch", "sk"), ("tch", "ch"), ("ph", "f"), ("ght", "t"), ("ck", "k"), ("qu", "kw"), ("wh", "w"), ("wr", "r"),
    ("kn", "n"), ("ce", "se"), ("ci", "si"), ("cy", "si"), ("ge", "je"), ("gi", "ji"), ("x", "ks"), ("c", "k"),
    ("z", "s"), ("y", "i"),
)  # fmt: skip
_DOUBLED = re.compile(r"(.)\1+")
# Fitted by hand to tests/unit/model/typing_errors.py.
_SOUND, _FIRST_LETTER, _LAST_LETTER, _RANK, _VISIBLE = 0.4, 0.5, 0.2, 0.15, 0.4
# The share of a word's letters that may be wrong; a word that sounds similar may have more.
_ERROR_SHARE = 0.4


class Speller:
    """Suggests words of a vocabulary: `words` most frequent first; `visible` marks those that a picture can show."""

    def __init__(self, words: Sequence[str], visible: Sequence[bool] | NDArray[np.bool_]) -> None:
        self._words = words
        self._visible = visible

    def suggest(self, text: str) -> tuple[str, ...]:
        """Return up to three likely words, the likeliest first, or none if no word is similar."""
        word = text.casefold()
        if not 2 <= len(word) <= MAX_LENGTH:
            return ()
        errors = min(3, max(1, int(len(word) * _ERROR_SHARE)))
        sound = _sounds_of([word])[0]
        near = process.extract(word, self._words, scorer=OSA.distance, score_cutoff=errors, limit=None)
        alike = process.extract(
            sound, self._sounds, scorer=OSA.distance, score_cutoff=len(sound) // _SOUND_LETTERS, limit=None
        )
        rows = {row for _, _, row in near} | {row for _, _, row in alike}
        likeliest = sorted((self._cost(word, sound, row), row) for row in rows)[:SUGGESTIONS]
        return tuple(self._words[row] for _, row in likeliest)

    @cached_property
    def _sounds(self) -> list[str]:
        return _sounds_of(self._words)

    def _cost(self, word: str, sound: str, row: int) -> float:
        meant = self._words[row]
        letters, sounds = OSA.distance(word, meant), OSA.distance(sound, self._sounds[row])
        cost = (1 - _SOUND) * letters + _SOUND * sounds + _RANK * log10(row + 10)
        cost += _FIRST_LETTER * (word[0] != meant[0]) + _LAST_LETTER * (word[-1] != meant[-1])
        return cost - _VISIBLE * bool(self._visible[row])


def _sounds_of(words: Sequence[str]) -> list[str]:
    """Return roughly how words sound: one letter per sound, none doubled."""
    text = "\n".join(words)  # ten times as fast as word by word
    for written, said in _SOUNDS:
        text = text.replace(written, said)
    return _DOUBLED.sub(r"\1", text).split("\n")
