"""The training data of both sides: an equal number of photos of each class, one folder per class, and GloVe words.

A class is used if its first name is a word of the vocabulary, and its folder has that name. So folders name the labels,
as a user's would, and no file of labels is needed.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from trainer.data_sets.reading import read_tar
from trainer.errors import TrainingSetUnusable
from trainer.words.word_space import read_word_space


@dataclass(frozen=True)
class Pictures:
    """Two folders with one folder per class: `training`, and `unseen` with other photos for evaluating an export."""

    training: Path
    unseen: Path


def lay_out(photos: Path, words: Path, classes: int, each: int, unseen: int, folder: Path) -> Pictures:
    """Write `each` photos per class to train on and `unseen` more; the choice is deterministic.

    `photos`: folder with classes.json and train-*.tar.

    Raises:
        TrainingSetUnusable: the photos are missing or too few.
    """
    shards = sorted(photos.glob("train-*.tar"))
    if not shards or not (photos / "classes.json").exists():
        raise TrainingSetUnusable(
            f"The photos are missing: {photos} has no classes.json and train-*.tar, so there is nothing to measure "
            "with. Name the folder that has them with --photos."
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
        f"{photos} does not have {each + unseen} photos for each of {classes} classes. Lower --images or --classes."
    )


def write_glove(words: Path, file: Path) -> None:
    """Write a vocabulary (a folder with words.txt and words.npy) in GloVe's text format."""
    space = read_word_space(words)
    with file.open("w", encoding="utf-8") as lines:
        for word, vector in zip(space.words, space.vectors, strict=True):
            lines.write(f"{word} {' '.join(f'{number:.5f}' for number in vector.tolist())}\n")


def _named(photos: Path, vocabulary: frozenset[str]) -> dict[str, str]:
    """Return the classes whose first name is a word of the vocabulary, by that word, each word once."""
    names = json.loads((photos / "classes.json").read_text(encoding="utf-8"))
    by_word = {name.split(",")[0].strip().lower(): wnid for wnid, name in sorted(names.items(), reverse=True)}
    return {wnid: word for word, wnid in by_word.items() if word in vocabulary and " " not in word}
