"""Finds the image files of a folder, and gives the reason for passing over everything else."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from semsearch.folders.exclusions import IGNORE_FILE, Exclusions
from semsearch.folders.file_kinds import FileKind, kind_of
from semsearch.folders.path_text import to_text
from semsearch.folders.results import Reason
from semsearch.transport.uploads import MAX_IMAGE_BYTES

_NOT_MOUNTED = "A disk was mounted here before, and is not now; its images stay"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Changes whenever the file does: `ctime_ns` changes even if a program restores `mtime_ns`."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Found:
    """An image file; `path` is relative to the folder, with slashes, as text."""

    path: str
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file or folder that is not an image to send. Nothing below such a folder is scanned."""

    path: str
    reason: Reason
    problem: str = ""


class Scan:
    """One walk through a folder, in a fixed order: the files of each folder by name, then its folders.

    Hidden files and folders are passed over (macOS keeps resource forks under such names). Links to files are read, but
    links to folders are not followed, since they may form a cycle. `mounts` are the folders on another disk than
    their parent. One of `known_mounts` that is not mounted now is passed over, as if it could not be read.
    """

    def __init__(self, folder: Path, exclusions: Exclusions, known_mounts: Collection[str] = ()) -> None:
        self.mounts: set[str] = set()
        self._folder = folder
        self._exclusions = exclusions
        self._known_mounts = known_mounts

    def __iter__(self) -> Iterator[Found | PassedOver]:
        """Walk.

        Raises:
            OSError: The folder itself cannot be read.
        """
        root = os.fspath(self._folder)
        waiting = [("", self._exclusions, os.stat(root).st_dev)]  # noqa: PTH116 — as below
        while waiting:
            path, exclusions, device = waiting.pop()
            try:
                entries, exclusions = self._entries(path, exclusions)
            except OSError as error:
                if not path:
                    raise
                yield PassedOver(to_text(path), Reason.UNREADABLE, _problem(error))
                continue
            folders = []
            while entries:  # frees each entry when it is done: a folder may have a hundred thousand
                entry = entries.pop()
                inner = f"{path}/{entry.name}" if path else entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((inner, entry))
                    else:
                        yield self._file(inner, entry, exclusions)
                except OSError as error:
                    yield PassedOver(to_text(inner), Reason.UNREADABLE, _problem(error))
            for inner, entry in reversed(folders):
                try:
                    below = self._enter(inner, entry, exclusions, device)
                except OSError as error:
                    below = PassedOver(to_text(inner), Reason.UNREADABLE, _problem(error))
                if isinstance(below, PassedOver):
                    yield below
                else:
                    waiting.append((inner, exclusions, below))
        for lost in sorted(set(self._known_mounts) - self.mounts):
            yield PassedOver(lost, Reason.NOT_MOUNTED, _NOT_MOUNTED)

    def _entries(self, path: str, exclusions: Exclusions) -> tuple[list[os.DirEntry[str]], Exclusions]:
        """Return a folder's entries, the last first, and the patterns that apply in it."""
        with os.scandir(self._folder / path) as found:
            entries = sorted(found, key=lambda entry: entry.name, reverse=True)
        if any(entry.name == IGNORE_FILE for entry in entries):
            exclusions = exclusions.below(to_text(path), self._folder / path / IGNORE_FILE)
        return entries, exclusions

    def _enter(self, path: str, entry: os.DirEntry[str], exclusions: Exclusions, device: int) -> int | PassedOver:
        """Return a folder's device, or why the folder is passed over."""
        text = to_text(path)
        if entry.name.startswith("."):
            return PassedOver(text, Reason.HIDDEN)
        if exclusions.excludes(text, is_folder=True):
            return PassedOver(text, Reason.EXCLUDED)
        own = entry.stat(follow_symlinks=False).st_dev
        if own != device:
            self.mounts.add(text)
        elif text in self._known_mounts:
            self.mounts.add(text)  # reported here, and stays known
            return PassedOver(text, Reason.NOT_MOUNTED, _NOT_MOUNTED)
        return own

    def _file(self, path: str, entry: os.DirEntry[str], exclusions: Exclusions) -> Found | PassedOver:
        text = to_text(path)
        if entry.name.startswith("."):
            return PassedOver(text, Reason.HIDDEN)
        if exclusions.excludes(text):
            return PassedOver(text, Reason.EXCLUDED)
        if entry.is_symlink() and entry.is_dir():
            return PassedOver(text, Reason.LINK)
        kind = kind_of(entry.name)
        if kind is not FileKind.IMAGE:
            return PassedOver(text, Reason.VIDEO if kind is FileKind.VIDEO else Reason.OTHER_SUFFIX)
        status = entry.stat()
        if problem := problem_of(status):
            return PassedOver(text, *problem)
        return Found(text, Stamp.of(status))


def problem_of(status: os.stat_result) -> tuple[Reason, str] | None:
    """Return why a file with this status cannot be sent, or None."""
    if not stat.S_ISREG(status.st_mode):  # reading a pipe may never end
        return Reason.UNREADABLE, "Not a regular file"
    if not status.st_size:
        return Reason.EMPTY, "The file is empty"
    if status.st_size > MAX_IMAGE_BYTES:
        problem = f"has {status.st_size:,} bytes, and an image may have {MAX_IMAGE_BYTES:,}"
        return Reason.IMAGE_TOO_LARGE, problem
    return None


def _problem(error: OSError) -> str:
    return error.strerror or str(error)
