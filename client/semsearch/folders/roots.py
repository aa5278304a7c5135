"""A root: a named folder whose paths are unique in a collection."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from semsearch.errors import FolderStopped
from semsearch.folders.path_text import to_text
from semsearch.folders.state import FolderState


@dataclass(frozen=True)
class Root:
    """A folder and its name in a server's collection."""

    name: str
    folder: Path
    server: str
    collection: str

    def place(self, path: str) -> str:
        """Return a path below the root as a place for an image's attributes."""
        return f"{self.name}/{path}"

    def path(self, place: str) -> str | None:
        """Return a place's path below this root, or None if it is below another."""
        name, _, path = place.partition("/")
        return path if name == self.name else None


def root_of(folder: Path, name: str, server: str, collection: str) -> Root:
    """Return a folder's root; `name` "" means the folder's own.

    Raises:
        FolderStopped: The name is invalid.
    """
    chosen = name or to_text(Path(os.path.abspath(folder)).name)  # noqa: PTH100 — of a link, its own name
    if not chosen.strip() or any(char == "/" or category(char) == "Cc" for char in chosen):
        raise FolderStopped(
            f"{chosen!r} cannot be the name of a root: it is blank, or it contains a slash or a control character.",
            "BAD_ROOT_NAME",
            "Give the folder another name with --name.",
        )
    return Root(chosen, Path(os.path.realpath(folder)), server, collection)


def claim(root: Root, state: FolderState, *, force: bool) -> None:
    """Record that the root's name stands for its folder.

    Raises:
        FolderStopped: The name stands for another folder, and `force` is not set.
    """
    known = state.folder_named(root.server, root.collection, root.name)
    if known not in (None, root.folder) and not force:
        raise FolderStopped(
            f'In the collection {root.collection} the name "{root.name}" stands for {to_text(str(known))}, '
            f"and not for {to_text(str(root.folder))}.",
            "ROOT_NAME_TAKEN",
            "Give this folder another name with --name; if the folder has moved here, use --force.",
        )
    if known != root.folder:
        state.name_folder(root.server, root.collection, root.name, root.folder)
