"""Captioned pictures: a folder or a tar file of pictures, and a CSV of what people say about them.

Contract: paths in the list are relative to the folder, or are the names of the tar's members. Pictures come in the
order of their sorted paths from a folder, in the tar's own order from a tar. Nothing is decoded here. Entries without a
picture and pictures without an entry are reported; they are fatal only if nothing is left.

The list has the columns path and caption, one line per caption, several lines per picture; UTF-8, with or without a
byte order mark. Ambiguous lines (missing columns, too few or too many values, an unclosed quote, another encoding) are
refused with their numbers: a program writes the list, so an error is systematic. A line without a caption is skipped
and counted.
"""

from __future__ import annotations

import csv
import io
import os
import tarfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.data_sets.reading import SUFFIXES, read_bytes
from trainer.errors import TrainingSetUnusable

_COLUMNS = ("path", "caption")
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", "#": "number signs"}
_SHOWN = 5


@dataclass(frozen=True)
class CaptionedImage:
    """A picture: its path in the list, its file's bytes, and its captions, at least one."""

    path: str
    content: bytes
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionedSet:
    """The comparison of a list with its pictures, before any picture is read.

    `captions`: of each path that has both a picture and a caption, in the order of the list. `missing`: entries whose
    picture does not exist. `without`: paths that have a picture, and no caption that is not empty.
    `empty_lines`: numbers of the list's lines without a caption. `uncaptioned`: pictures that the list does not
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
        """The problems found, one sentence each; none is fatal."""
        findings = []
        if self.empty_lines:
            findings.append(f"empty captions, skipped: {len(self.empty_lines):,} (line {some_of(self.empty_lines)})")
        if self.without:
            findings.append(f"pictures without a caption, left out: {len(self.without):,} ({some_of(self.without)})")
        if self.missing:
            named = some_of([f"line {each.line}: {each.path}" for each in self.missing])
            findings.append(f"captioned pictures that are not in {self.images}: {len(self.missing):,} ({named})")
        if self.uncaptioned:
            findings.append(f"pictures that {self.file} does not name, left out: {self.uncaptioned:,}")
        return tuple(findings)


def survey_captions(images: Path, captions: Path) -> CaptionedSet:
    """Compare a list of captions with its pictures, without reading any picture.

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
    """Yield the captioned pictures of a set, or only those whose paths are in `only`.

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
            f"The folder {error.filename} cannot be read ({error.strerror}), so its pictures would be missed. "
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
    """Yield the pictures of a tar file, plain or compressed, in one pass; of two of one name the first."""
    seen: set[str] = set()
    try:
        with tarfile.open(tar, "r|*") as shard:
            for member in shard:
                name = str(PurePosixPath(member.name))
                if member.isfile() and name not in seen and PurePosixPath(name).suffix.lower() in SUFFIXES:
                    seen.add(name)
                    yield name, shard, member
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TrainingSetUnusable(f"{tar} is not a tar file, or is cut off: {error}.") from error


@dataclass(frozen=True)
class CaptionsOfPath:
    """A picture's path as the list has it, the number of its first line, and its captions, each as it was written."""

    path: str
    line: int
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionList:
    """The contents of a list.

    `entries`: one per path, in the order of their first lines; an entry may have no captions. `empty_lines`: numbers of
    the lines whose caption is empty.
    """

    file: Path
    entries: tuple[CaptionsOfPath, ...]
    empty_lines: tuple[int, ...]


def read_caption_list(file: Path) -> CaptionList:
    """Read a list of captions; other columns are ignored.

    Raises:
        TrainingSetUnusable: a line is malformed; the message names it.
    """
    captions: dict[str, list[str]] = {}
    first_lines: dict[str, int] = {}
    empty: list[int] = []
    for line, path, caption in _rows(file):
        name = str(PurePosixPath(path))
        first_lines.setdefault(name, line)
        of_path = captions.setdefault(name, [])
        if caption:
            of_path.append(caption)
        else:
            empty.append(line)
    if not captions:
        raise TrainingSetUnusable(f"{file} has only a header line, so it captions nothing. Add lines to it.")
    entries = tuple(CaptionsOfPath(name, first_lines[name], tuple(each)) for name, each in captions.items())
    return CaptionList(file, entries, tuple(empty))


def some_of(items: Sequence[object]) -> str:
    """Return the first few items and the number of the others, as text."""
    rest = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(str(each) for each in items[:_SHOWN]) + rest


def _rows(file: Path) -> Iterator[tuple[int, str, str]]:
    """Yield (line, path, caption), stripped; the caption may be empty."""
    rows = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    began = 1
    try:
        columns = _columns(file, next(rows, []))
        width, path_at, caption_at = len(columns), columns.index("path"), columns.index("caption")
        began, wrong = rows.line_num + 1, []
        for row in rows:
            line, began = began, rows.line_num + 1
            if not row:
                continue
            if len(row) != width:
                wrong.append(line)
                continue
            if not row[path_at].strip():
                raise TrainingSetUnusable(f"{file}, line {line} has no path. Name the picture, or remove the line.")
            yield line, row[path_at].strip(), row[caption_at].strip()
    except csv.Error as error:
        raise TrainingSetUnusable(
            f"{file}, line {began} is not CSV ({error}). A caption with a comma, a quote or a line break in it stands "
            'between quotes, and a quote in it is doubled: a.jpg,"A ""dog"", running"'
        ) from error
    if wrong:
        lines = f"line {wrong[0]} has" if len(wrong) == 1 else f"{len(wrong):,} lines ({some_of(wrong)}) have"
        raise TrainingSetUnusable(
            f"{file}: {lines} not {width} values as the first line has. A caption with a comma in it stands between "
            'quotes: a.jpg,"A dog, running"'
        )


def _columns(file: Path, header: Sequence[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    if missing := [name for name in _COLUMNS if name not in columns]:
        only = columns[0] if len(columns) == 1 else ""
        used = next((name for mark, name in _OTHER_DELIMITERS.items() if mark in only), None)
        what = (
            f"seems to separate its columns by {used}" if used else f"has no column {' and no column '.join(missing)}"
        )
        raise TrainingSetUnusable(
            f"{file}, line 1 {what}. Write a CSV with commas, whose first line names the columns path and caption."
        )
    return columns


def _text(file: Path) -> str:
    content = read_bytes(file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TrainingSetUnusable(
            f"{file}, line {line} is not UTF-8. Save it as UTF-8, which editors and spreadsheets offer when they save, "
            f"or convert it: iconv -f WINDOWS-1252 -t UTF-8 {file.name} > new.csv"
        ) from error
