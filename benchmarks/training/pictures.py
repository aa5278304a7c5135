"""What both sides train on: as many photos of each of some classes, a folder per class, and words in GloVe's format.

A class is called by its first name, where the vocabulary has that as a word; so folders name the labels, as anybody's
would, and no file of labels is needed.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from trainer.data_sets.reading import read_tar
from trainer.errors import TrainingSetUnusable
from trainer.words.word_space import read_word_space

__all__ = ["Pictures", "lay_out", "write_glove"]


@dataclass(frozen=True)
class Pictures:
    """Folders with a folder per class: `training`, and `unseen` of other photos for an export's figures."""

    training: Path
    unseen: Path


def lay_out(photos: Path, words: Path, classes: int, each: int, unseen: int, folder: Path) -> Pictures:
    """Write `each` photos a class to train on and `unseen` more; always the same ones.

    `photos`: folder of classes.json and train-*.tar.

    Raises:
        TrainingSetUnusable: the photos are not there, or too few.
    """
    shards = sorted(photos.glob("train-*.tar"))
    if not shards or not (photos / "classes.json").exists():
        raise TrainingSetUnusable(
            f"The photos are absent: {photos} has no classes.json and train-*.tar, so there is nothing to measure "
            "with. Name the folder that has them: --photos"
        )
    named = _named(photos, frozenset(read_word_space(words).words))
    chosen = dict(sorted(named.items())[:classes])
    made = Pictures(folder / "training", folder / "unseen")
    written: Counter[str] = Counter()
    for shard in shards:
        for image in read_tar(shard):
            number = written[image.label]
            if image.label not in chosen or number == each + unseen:
                continue
            path = (made.training if number < each else made.unseen) / chosen[image.label] / f"{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.content)
            written[image.label] += 1
        if len(written) == classes and min(written.values()) == each + unseen:
            return made
    raise TrainingSetUnusable(
        f"{photos} has not {each + unseen} photos of each of {classes} classes. Ask for fewer: --images, --classes"
    )


def write_glove(words: Path, file: Path) -> None:
    """Write a vocabulary, a folder of words.txt and words.npy, as GloVe's text."""
    space = read_word_space(words)
    with file.open("w", encoding="utf-8") as lines:
        for word, vector in zip(space.words, space.vectors, strict=True):
            lines.write(f"{word} {' '.join(f'{number:.5f}' for number in vector.tolist())}\n")


def _named(photos: Path, vocabulary: frozenset[str]) -> dict[str, str]:
    """Classes by their first name, those that are one word of the vocabulary, each word once."""
    names = json.loads((photos / "classes.json").read_text(encoding="utf-8"))
    by_word = {name.split(",")[0].strip().lower(): wnid for wnid, name in sorted(names.items(), reverse=True)}
    return {wnid: word for word, wnid in by_word.items() if word in vocabulary and " " not in word}
