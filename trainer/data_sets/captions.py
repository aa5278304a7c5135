"""Captioned pictures: a folder or a tar file of pictures, and a CSV with what people say of them.

Contract: paths of the list are relative to the folder, or are the names of the tar's members. Pictures come in the
order of their sorted paths from a folder, in the tar's own order from a tar. Nothing is decoded here. What the list and
the pictures do not have in common is told, not fatal, as long as something is left.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.data_sets.caption_list import CaptionsOfPath, read_caption_list, some_of
from trainer.data_sets.labelled_file import SUFFIXES, read_bytes
from trainer.errors import TrainingSetUnusable

__all__ = ["CaptionedImage", "CaptionedSet", "read_captioned", "survey_captions"]


@dataclass(frozen=True)
class CaptionedImage:
    """A picture: its path in the list, its file's bytes, and its captions, at least one."""

    path: str
    content: bytes
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionedSet:
    """What there is before a picture is read.

    ``captions``: of each path that has both a picture and a caption, in the order of the list. ``missing``: entries
    whose picture is not there. ``without``: paths that have a picture, and no caption that is not empty.
    ``empty_lines``: numbers of the list's lines without a caption. ``uncaptioned``: pictures that the list does not
    name.
    """

    images: Path
    file: Path
    captions: dict[str, tuple[str, ...]]
    missing: tuple[CaptionsOfPath, ...] = ()
    without: tuple[str, ...] = ()
    empty_lines: tuple[int, ...] = ()
    uncaptioned: int = 0

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with it, a sentence each; nothing of that is fatal."""
        told = []
        if self.empty_lines:
            told.append(f"empty captions, passed over: {len(self.empty_lines):,} (line {some_of(self.empty_lines)})")
        if self.without:
            told.append(f"pictures without a caption, left out: {len(self.without):,} ({some_of(self.without)})")
        if self.missing:
            named = some_of([f"line {each.line}: {each.path}" for each in self.missing])
            told.append(f"captioned pictures that are not in {self.images}: {len(self.missing):,} ({named})")
        if self.uncaptioned:
            told.append(f"pictures that {self.file} does not name, left out: {self.uncaptioned:,}")
        return tuple(told)


def survey_captions(images: Path, captions: Path) -> CaptionedSet:
    """Compare a list of captions with the pictures it is about, without reading any.

    Raises:
        TrainingSetUnusable: one of them cannot be read, the list is malformed, or they have nothing in common.
    """
    if not os.path.lexists(captions):
        raise TrainingSetUnusable(f"There is no {captions}. Give a CSV with the columns path and caption.")
    if not os.path.lexists(images):
        raise TrainingSetUnusable(f"There is no {images}. Give the folder or the tar file of the captioned pictures.")
    listed = read_caption_list(captions)
    there = set(_names(images))
    found = [each for each in listed.entries if each.path in there]
    missing = tuple(each for each in listed.entries if each.path not in there)
    kept = {each.path: each.captions for each in found if each.captions}
    if not kept:
        raise TrainingSetUnusable(_nothing_in_common(images, captions, listed.entries[0], there))
    return CaptionedSet(
        images=images,
        file=captions,
        captions=kept,
        missing=missing,
        without=tuple(each.path for each in found if not each.captions),
        empty_lines=listed.empty_lines,
        uncaptioned=len(there) - len(found),
    )


def read_captioned(found: CaptionedSet, only: Collection[str] | None = None) -> Iterator[CaptionedImage]:
    """Yields the captioned pictures of a set; of ``only`` those paths if they are given.

    Raises:
        TrainingSetUnusable: a picture cannot be read, or the tar breaks off.
    """
    wanted = found.captions.keys() if only is None else found.captions.keys() & set(only)
    read = _files if os.path.isdir(found.images) else _members  # noqa: PTH112 - unlike Path's, it does not raise
    for path, content in read(found.images, wanted):
        yield CaptionedImage(path, content, found.captions[path])


def _nothing_in_common(images: Path, captions: Path, first: CaptionsOfPath, there: Collection[str]) -> str:
    has = f"which has {min(there)}" if there else "which has no picture at all"
    return (
        f"{captions} and {images} have no captioned picture in common: line {first.line} names {first.path}, in "
        f"{images}, {has}. Paths are relative to the folder, or as the tar names its members."
    )


def _names(images: Path) -> Iterator[str]:
    if not os.path.isdir(images):  # noqa: PTH112
        yield from (name for name, _, _ in _entries(images))
        return

    def refuse(error: OSError) -> None:
        raise TrainingSetUnusable(
            f"The folder {error.filename} cannot be read ({error.strerror}), so its pictures would be missing unseen. "
            "Make it readable."
        )

    for below, _, names in os.walk(images, onerror=refuse):
        for name in names:
            path = Path(below, name)
            if path.suffix.lower() in SUFFIXES:
                yield path.relative_to(images).as_posix()


def _files(folder: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(wanted):
        yield path, read_bytes(folder / path)


def _members(tar: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    for name, shard, member in _entries(tar):
        if name in wanted:
            file = shard.extractfile(member)
            if file is not None:
                yield name, file.read()


def _entries(tar: Path) -> Iterator[tuple[str, tarfile.TarFile, tarfile.TarInfo]]:
    """Yields the pictures of a tar file, plain or compressed, in one pass; of two of one name the first."""
    seen: set[str] = set()
    try:
        with tarfile.open(tar, "r|*") as shard:
            for member in shard:
                name = str(PurePosixPath(member.name))
                if member.isfile() and name not in seen and PurePosixPath(name).suffix.lower() in SUFFIXES:
                    seen.add(name)
                    yield name, shard, member
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TrainingSetUnusable(f"{tar} is no tar file, or is cut off: {error}.") from error
