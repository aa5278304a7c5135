"""Which words people type for the classes of a data set.

Contract: a class has one word of its own, its label, and the words of the kinds it belongs to, nearest first
("goldfish": "fish", "animal"). All are words of the vocabulary that they are used with; the first use checks that.

The file is JSON: ``{"n01443537": {"word": "goldfish", "kinds": ["fish", "animal"]}, …}``. Without one, a class is
called what its folder is called, underscores being spaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainingSetUnusable
from trainer.label_space import unit_rows
from trainer.words import WordSpace

__all__ = ["ClassWords", "Vocabulary", "class_words_of_names", "read_class_words", "write_class_words"]


@dataclass(frozen=True)
class ClassWords:
    """A class: its name in the data set, its label, and the kinds it belongs to, nearest first."""

    name: str
    word: str
    kinds: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The label and its kinds, each once."""
        return tuple(dict.fromkeys((self.word, *self.kinds)))


def class_words_of_names(names: Iterable[str]) -> tuple[ClassWords, ...]:
    """Classes that are called what their folders are called."""
    return tuple(ClassWords(name, name.replace("_", " ").lower()) for name in names)


def read_class_words(path: Path) -> tuple[ClassWords, ...]:
    """Read a file of classes.

    Raises:
        TrainingSetUnusable: the file is not of the format above.
    """
    try:
        entries: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            ClassWords(name, str(entry["word"]), tuple(entry.get("kinds", ()))) for name, entry in entries.items()
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise TrainingSetUnusable(
            f'{path} does not tell the classes\' words ({error!r}). It should be {{"class": {{"word": …}}}}.'
        ) from error


def write_class_words(path: Path, classes: Iterable[ClassWords]) -> None:
    """Write what ``read_class_words`` reads."""
    entries = {each.name: {"word": each.word, "kinds": list(each.kinds)} for each in classes}
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class Vocabulary:
    """Vectors by word, of a word space."""

    def __init__(self, space: WordSpace) -> None:
        self._row_of_word = {word: row for row, word in enumerate(space.words)}
        self._vectors = space.vectors
        self.words = space.words

    def __contains__(self, word: object) -> bool:
        return word in self._row_of_word

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The words' vectors, (n, dimension), unit rows.

        Raises:
            TrainingSetUnusable: some words are not in the vocabulary; the message names them.
        """
        unknown = [word for word in words if word not in self]
        if unknown:
            raise TrainingSetUnusable(
                f"The vocabulary has no vector for {', '.join(map(repr, unknown[:5]))}"
                f"{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}. "
                "Give these classes other words in the file of labels, or use a larger vocabulary."
            )
        return unit_rows(self._vectors[[self._row_of_word[word] for word in words]])

    def label_vector(self, label: ClassWords, kinds: int) -> NDArray[np.float32]:
        """Where pictures of a class should land: the mean of its word and its nearest kinds, equally weighted.

        On 234 unseen photos and 30,000 words, label vectors of the lemma alone put a right word among the first five
        for 69 %, of the lemma and its nearest hypernyms for 90 %.
        """
        mean = self.vectors(label.words[: 1 + kinds]).mean(axis=0, keepdims=True)
        vector: NDArray[np.float32] = unit_rows(mean)[0]
        return vector
