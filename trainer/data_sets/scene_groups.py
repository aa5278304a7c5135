"""Which pictures belong to one scene, and which scenes are held out.

Contract: a picture's side follows from its group's name, the share and the seed alone. So neighbours of one scene never
lie on both sides, and a picture never changes sides, whatever is added or taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import PurePosixPath

__all__ = ["GROUP_CHARACTERS", "group_of", "held_out"]

# Flickr gave out numbers as photos came in: those that share the first five digits of ten were often taken together.
GROUP_CHARACTERS = 5


def group_of(path: str, characters: int = GROUP_CHARACTERS) -> str:
    """The scene that a picture belongs to: the first characters of its file's name, without the ending.

    0 characters: every picture is a scene of its own, called by its whole path.
    """
    return PurePosixPath(path).stem[:characters] if characters else path


def held_out(paths: Iterable[str], share: float, seed: int = 0, characters: int = GROUP_CHARACTERS) -> tuple[str, ...]:
    """The paths whose scenes are held out, in the order given.

    ``share``: about how much of the scenes, 0…1. A greater share holds out what a smaller one does, and more.
    """
    return tuple(path for path in paths if _place(group_of(path, characters), seed) < share)


def _place(name: str, seed: int) -> float:
    """A number from 0 to less than 1 that follows from the name and the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:6], "big") / 2**48
