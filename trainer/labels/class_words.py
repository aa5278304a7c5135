"""The words that people type for the classes of a data set.

Contract: a class has one word of its own, its label, and the words of the kinds it belongs to, nearest first
("goldfish": "fish", "animal"). All have a vector in the vocabulary that they are used with: their own or, for several
words, the mean of those. The first use checks that.

The file is JSON: `{"n01443537": {"word": "goldfish", "kinds": ["fish", "animal"]}, …}`. Without one, a class is named
after its folder, with underscores as spaces. A file of synonyms is JSON too: `{"label": "word or words", …}`, by a
class's name or its word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.data_sets.reading import read_images
from trainer.errors import TrainingSetUnusable


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
    """Return classes named after their folders."""
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
            f'{path} does not have the classes\' words ({error!r}). It should be {{"class": {{"word": …}}}}.'
        ) from error


def with_synonyms(classes: Iterable[ClassWords], path: Path | None) -> tuple[ClassWords, ...]:
    """Return the classes, named by the words of a file of synonyms where it has them; None is no file.

    Raises:
        TrainingSetUnusable: the file is not of the format above.
    """
    if path is None:
        return tuple(classes)
    try:
        entries: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))
        synonyms = {label: word.strip() for label, word in entries.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise TrainingSetUnusable(
            f'{path} has no synonyms ({error!r}). It should be {{"label": "word or words", …}}.'
        ) from error
    return tuple(replace(each, word=synonyms.get(each.name, synonyms.get(each.word, each.word))) for each in classes)


def write_class_words(path: Path, classes: Iterable[ClassWords]) -> None:
    """Write what `read_class_words` reads."""
    entries = {each.name: {"word": each.word, "kinds": list(each.kinds)} for each in classes}
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def classes_of(
    names: Sequence[str], labels: Path | None = None, synonyms: Path | None = None
) -> tuple[ClassWords, ...]:
    """Return the words of classes, in the order of their names.

    `labels`: a file of classes; None uses their names. `synonyms`: a file of synonyms.

    Raises:
        TrainingSetUnusable: a file is malformed, or the file of classes lacks some.
    """
    named = class_words_of_names(names) if labels is None else read_class_words(labels)
    by_name = {each.name: each for each in named}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise TrainingSetUnusable(f"The file of labels does not have {', '.join(missing[:5])}. Add these classes.")
    return with_synonyms((by_name[name] for name in names), synonyms)


def classes_shown(
    images: Sequence[Path], labels: Path | None = None, synonyms: Path | None = None
) -> tuple[ClassWords, ...]:
    """Return the words of the classes in a file or, without one, of those that images show, in their order.

    Raises:
        TrainingSetUnusable: a file is malformed, or the images cannot be read.
    """
    if labels is not None:
        return with_synonyms(read_class_words(labels), synonyms)
    names = dict.fromkeys(label for image in read_images(images) for label in image.labels)
    return with_synonyms(class_words_of_names(names), synonyms)
