"""What a recipe says, and nothing of how it is written down (see `recipe_json`)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FetchedFile", "Recipe"]


@dataclass(frozen=True)
class FetchedFile:
    """A file of the bundle that is fetched: its name there, where it is, its size in bytes and its SHA-256 in hex."""

    name: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """How a bundle is made from files that ship, files that are fetched, and files of another bundle.

    `words_from` is the id of a bundle that has the files that neither ship nor are fetched; it may be empty.
    """

    name: str
    title: str
    model_id: str
    fetched: tuple[FetchedFile, ...]
    words_from: str = ""
