"""What the classes of a feature set, or of labelled images, are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.data_sets.reading import read_images
from trainer.errors import TrainingSetUnusable
from trainer.labels.class_words import ClassWords, class_words_of_names, read_class_words, with_synonyms

__all__ = ["classes_of", "classes_shown"]


def classes_of(
    names: Sequence[str], labels: Path | None = None, synonyms: Path | None = None
) -> tuple[ClassWords, ...]:
    """The words of classes, in the order of their names.

    ``labels``: a file of classes; None calls them what they are named. ``synonyms``: a file of synonyms.

    Raises:
        TrainingSetUnusable: a file is malformed, or that of the classes tells nothing of some.
    """
    told = class_words_of_names(names) if labels is None else read_class_words(labels)
    by_name = {each.name: each for each in told}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise TrainingSetUnusable(f"The file of labels tells nothing of {', '.join(missing[:5])}. Add these classes.")
    return with_synonyms((by_name[name] for name in names), synonyms)


def classes_shown(
    images: Sequence[Path], labels: Path | None = None, synonyms: Path | None = None
) -> tuple[ClassWords, ...]:
    """The words of the classes in a file, or where there is none of those that images show, in the order they come.

    Raises:
        TrainingSetUnusable: a file is malformed, or the images cannot be read.
    """
    if labels is not None:
        return with_synonyms(read_class_words(labels), synonyms)
    names = dict.fromkeys(label for image in read_images(images) for label in image.labels)
    return with_synonyms(class_words_of_names(names), synonyms)
