"""Paths of fields, as AIP-161 writes them: names with dots between them, and backticks around a name that has a dot.

`camera.model` is the field "model" of "camera"; `camera.`a.b`` is its field "a.b".
"""

from __future__ import annotations

import re

_NAME = re.compile(r"`([^`]+)`|([^.`]+)")


def split_path(path: str) -> tuple[str, ...]:
    """Return the names of a path.

    Raises:
        ValueError: A name is empty, or has a backtick that does not surround it.
    """
    names: list[str] = []
    at = 0
    while True:
        match = _NAME.match(path, at)
        if match is None:
            raise ValueError("has an empty name, or a backtick that does not surround one")
        names.append(match[1] or match[2])
        at = match.end()
        if at == len(path):
            return tuple(names)
        if path[at] != ".":
            raise ValueError("has a backtick that does not surround a whole name")
        at += 1


def join_path(names: tuple[str, ...]) -> str:
    """Return the path of names, none of which has a backtick."""
    return ".".join(f"`{name}`" if "." in name else name for name in names)
