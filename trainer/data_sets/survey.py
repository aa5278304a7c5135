"""Check a data set before anything is computed: its classes, its two sides, and its problems.

Contract: two files of the same bytes are one image. An image is on one side: the one that the data set states (an image
without a side is for training if others have one) or, if the data set states none, the one that follows from the bytes
alone. So an image never changes sides, whatever is added or removed, and copies fall on the same side.

Captioned pictures are held out by scenes, which follow from the names of the files: neighbours of one scene never lie
on both sides. A scene's side follows from its name, the share and the seed alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from trainer.data_sets.reading import LabelledFile, Split
from trainer.errors import TrainingSetUnusable

_SHOWN = 5
# Flickr numbered photos in order of upload: those that share the first five of ten digits were often taken together.
GROUP_CHARACTERS = 5


@dataclass(frozen=True)
class Survey:
    """`names`: the classes, sorted. `images`: files. `validation`: the digests of the images on that side."""

    names: tuple[str, ...]
    images: int
    validation: frozenset[bytes]


@dataclass(frozen=True)
class _Seen:
    key: str
    labels: tuple[str, ...]
    split: Split | None


def survey(images: Iterable[LabelledFile], validation_share: float = 0.0) -> Survey:
    """Read every file once.

    `validation_share`: how much of a data set without sides is for validation, 0…1.

    Raises:
        TrainingSetUnusable: an image is on both sides, there are fewer than two classes, or a class has fewer than two
            images or none to train on; the message names them.
    """
    seen: dict[bytes, _Seen] = {}
    twice: list[tuple[_Seen, _Seen]] = []
    count, sided = 0, False
    for image in images:
        count += 1
        sided = sided or image.split is not None
        now = _Seen(image.key, image.labels, image.split)
        first = seen.setdefault(image.digest, now)
        if _trains(first) != _trains(now):
            twice.append((first, now))
    if twice:
        raise _on_both_sides(twice)
    if sided:
        validation = frozenset(digest for digest, each in seen.items() if not _trains(each))
    else:
        validation = frozenset(digest for digest in seen if _share(digest) < validation_share)
    labels = [(each.labels, digest in validation) for digest, each in seen.items()]
    check_classes({name for each, _ in labels for name in each}, labels)
    return Survey(tuple(sorted({name for each, _ in labels for name in each})), count, validation)


def check_classes(names: Collection[str], images: Iterable[tuple[Collection[str], bool]]) -> None:
    """Check that a head can be trained on images, given each one's classes and whether it is for validation.

    Raises:
        TrainingSetUnusable: see `survey`.
    """
    of_class: Counter[str] = Counter()
    training: Counter[str] = Counter()
    for labels, validates in images:
        of_class.update(labels)
        if not validates:
            training.update(labels)
    if len(names) < 2:
        raise TrainingSetUnusable(
            f"All images are of one class ({', '.join(names) or 'none has a label'}), so there is nothing to "
            "distinguish. Give images of at least two classes."
        )
    if few := sorted(name for name in names if of_class[name] < 2):
        raise TrainingSetUnusable(
            f"{_some(few)} {'has' if len(few) == 1 else 'have'} fewer than two images that can be read, too few to "
            "learn a class and to check that it was learnt. Add images, or leave the class out."
        )
    if none := sorted(name for name in names if not training[name]):
        raise TrainingSetUnusable(
            f"Every image of {_some(none)} is for validation, so there is none to learn from. "
            "Add images for training, or make --validation-share smaller."
        )


def _trains(image: _Seen) -> bool:
    return image.split != "validation"


def _share(digest: bytes) -> float:
    """Return a number from 0 to less than 1 that follows from the bytes."""
    return int.from_bytes(digest[:6], "big") / 2**48


def _on_both_sides(pairs: list[tuple[_Seen, _Seen]]) -> TrainingSetUnusable:
    count = "1 image is" if len(pairs) == 1 else f"{len(pairs):,} images are"
    named = "; ".join(f"{each.key} ({_side(each)}) and {other.key} ({_side(other)})" for each, other in pairs[:_SHOWN])
    return TrainingSetUnusable(
        f"{count} for training and for validation, so training images would be used for measuring: "
        f"{named}{' …' if len(pairs) > _SHOWN else ''}. Take each out of one side."
    )


def _side(image: _Seen) -> str:
    return "training" if _trains(image) else "validation"


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def group_of(path: str, characters: int = GROUP_CHARACTERS) -> str:
    """Return the scene that a picture belongs to: the first characters of its file's name, without the ending.

    With 0 characters, every picture is its own scene, named by its whole path.
    """
    return PurePosixPath(path).stem[:characters] if characters else path


def held_out(paths: Iterable[str], share: float, seed: int = 0, characters: int = GROUP_CHARACTERS) -> tuple[str, ...]:
    """Return the paths whose scenes are held out, in the order given.

    `share`: approximate share of the scenes, 0…1. A greater share holds out everything that a smaller one does.
    """
    return tuple(path for path in paths if _place(group_of(path, characters), seed) < share)


def _place(name: str, seed: int) -> float:
    """Return a number from 0 to less than 1 that follows from the name and the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:6], "big") / 2**48
