"""Suggests words for one that the vocabulary does not have: what a person meant who mistyped it.

Two kinds of errors are made. Fingers drop, double, swap and miss letters: edit distance, with a swap as one edit, finds
those. Ears write what they hear, "elefantt": that is near by how it sounds, spelled with one letter for each sound. A
candidate costs the mean of both distances, more where the first or the last letter is another, less where it is
frequent, and less where it names what a picture can show: who searches pictures means a monkey rather than money.
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

__all__ = ["Speller"]

SUGGESTIONS = 3
# Longer tokens are no words: pasted text, or a script that puts no spaces between them.
LONGEST = 40
_SOUND_LETTERS = 4  # one in so many may sound otherwise
_SOUNDS = (
    ("sch", "sk"), ("tch", "ch"), ("ph", "f"), ("ght", "t"), ("ck", "k"), ("qu", "kw"), ("wh", "w"), ("wr", "r"),
    ("kn", "n"), ("ce", "se"), ("ci", "si"), ("cy", "si"), ("ge", "je"), ("gi", "ji"), ("x", "ks"), ("c", "k"),
    ("z", "s"), ("y", "i"),
)  # fmt: skip
_DOUBLED = re.compile(r"(.)\1+")
# Fitted by hand to tests/unit/model/typing_errors.py.
_SOUND, _FIRST_LETTER, _LAST_LETTER, _RANK, _SEEN = 0.4, 0.5, 0.2, 0.15, 0.4
# Of a word's letters, how many may be wrong; what sounds alike may have more.
_WRONG = 0.4


class Speller:
    """Suggests words of a vocabulary: `words` most frequent first, `seen` tells which name what a picture can show."""

    def __init__(self, words: Sequence[str], seen: Sequence[bool] | NDArray[np.bool_]) -> None:
        self._words = words
        self._seen = seen

    def suggest(self, text: str) -> tuple[str, ...]:
        """Return up to three words that were likely meant, best first; none where nothing is near."""
        word = text.casefold()
        if not 2 <= len(word) <= LONGEST:
            return ()
        errors = min(3, max(1, int(len(word) * _WRONG)))
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
        return cost - _SEEN * bool(self._seen[row])


def _sounds_of(words: Sequence[str]) -> list[str]:
    """Return how words sound, roughly: one letter for each sound, no doubled ones."""
    text = "\n".join(words)  # all at once: a tenth of the time
    for written, said in _SOUNDS:
        text = text.replace(written, said)
    return _DOUBLED.sub(r"\1", text).split("\n")
