"""What is said of labels that get no vector: all of them at once, what is missing, and what may have been meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from trainer.errors import TrainingSetUnusable

__all__ = ["unknown_labels"]

_SUGGESTIONS = 3
_COMMON = 100_000  # of the most frequent words suggestions are made: rarer ones are mostly names and errors


def unknown_labels(missing: Mapping[str, Sequence[str]], vocabulary: Sequence[str]) -> TrainingSetUnusable:
    """The error that lists labels; ``missing``: which of its words each lacks."""
    lines = "".join(f"\n  {_line(label, words, vocabulary)}" for label, words in missing.items())
    labels = "1 label" if len(missing) == 1 else f"{len(missing):,} labels"
    return TrainingSetUnusable(
        f"The vocabulary has no vector for {labels}:{lines}\n"
        'Call them by words that it has, in a file {"label": "word or words", …} given as --synonyms, or use a larger '
        "vocabulary."
    )


def _line(label: str, missing: Sequence[str], vocabulary: Sequence[str]) -> str:
    told = []
    for word in missing:
        near = ", ".join(map(repr, _suggest(word, vocabulary)))
        told.append(repr(word) + (f" (did you mean {near}?)" if near else ""))
    return ", ".join(told) if list(missing) == [label] else f"{label!r}: no {', no '.join(told)}"


def _suggest(word: str, vocabulary: Sequence[str]) -> list[str]:
    """Up to three words a few typing errors away, nearest first; of equals the more frequent first."""
    errors = min(2, len(word) // 3)  # none in what is as short as an emoji: every other letter would be near
    if not errors:
        return []
    found = process.extract(
        word.casefold(), vocabulary[:_COMMON], scorer=OSA.distance, score_cutoff=errors, limit=_SUGGESTIONS
    )
    return [str(match[0]) for match in found]
