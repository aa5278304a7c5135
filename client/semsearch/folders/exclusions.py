"""The exclusion patterns of a folder: `--exclude` and the files `.semsearchignore`, both with .gitignore's syntax.

Patterns of a `.semsearchignore` are relative to its folder. A deeper file overrides a higher one, and `--exclude`
overrides all. As in git, nothing below an excluded folder can be included again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from semsearch.errors import FolderStopped

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".semsearchignore"


class Exclusions:
    """The patterns that apply in one folder: its own, and those of the folders above it."""

    def __init__(self, globs: Sequence[str] = ()) -> None:
        """Start with the patterns of `--exclude`.

        Raises:
            FolderStopped: One of them is not a valid pattern.
        """
        # Pairs of a folder ("" or "a/b/") and its patterns. The first match decides.
        self._option: tuple[tuple[str, GitIgnoreSpec], ...] = (("", _spec(globs, "--exclude")),) if globs else ()
        self._files: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    def below(self, folder: str, ignore_file: Path) -> Exclusions:
        """Return the exclusions of a folder that has an ignore file.

        Raises:
            OSError: The file cannot be read.
            FolderStopped: A line of it is not a valid pattern.
        """
        lines = ignore_file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        inner = Exclusions()
        inner._option = self._option
        inner._files = ((f"{folder}/" if folder else "", _spec(lines, str(ignore_file))), *self._files)
        return inner

    def excludes(self, path: str, *, is_folder: bool = False) -> bool:
        """Return whether a path, relative to the root, is left out."""
        for prefix, spec in (*self._option, *self._files):
            verdict = spec.check_file(path.removeprefix(prefix) + "/" * is_folder).include
            if verdict is not None:
                return bool(verdict)
        return False


def _spec(lines: Iterable[str], source: str) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # imported here so that other commands start faster

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise FolderStopped(
            f"{source} has an invalid pattern: {error}", "BAD_PATTERN", "Patterns are written as in .gitignore."
        ) from error
