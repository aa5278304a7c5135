"""What a recipe says, and nothing of how it is written down (see `recipe_json`)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FetchedFile", "FilledFile", "Recipe"]


@dataclass(frozen=True)
class FetchedFile:
    """A file of the bundle that is fetched: its name there, where it is, its size in bytes and its SHA-256 in hex."""

    name: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class FilledFile:
    """A file of the bundle that is made from an installed Python package: its name there, and the template's.

    `path` is the package's file, from the folder that packages are installed in; `size` in bytes and `sha256` in hex
    are of that file.
    """

    name: str
    template: str
    package: str
    version: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """How a bundle is made from files that ship, are fetched, are made from packages, and are another bundle's.

    `words_from` is the id of a bundle that has the files that come from nowhere else; it may be empty.
    """

    name: str
    title: str
    model_id: str
    fetched: tuple[FetchedFile, ...]
    words_from: str = ""
    filled: tuple[FilledFile, ...] = ()
