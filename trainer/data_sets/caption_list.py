"""The list of a captioned data set: a CSV with the columns path and caption, a line a caption, several lines a picture.

Contract: UTF-8, with or without a byte order mark. What makes a line ambiguous (no such columns, too few or too many
values, a quote that is not closed, another encoding) is refused, with the lines' numbers: a list is written by a
program, and so is its error. A line without a caption is passed over and counted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.data_sets.labelled_file import read_bytes
from trainer.errors import TrainingSetUnusable

__all__ = ["CaptionList", "CaptionsOfPath", "read_caption_list", "some_of"]

_COLUMNS = ("path", "caption")
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", "#": "number signs"}
_SHOWN = 5


@dataclass(frozen=True)
class CaptionsOfPath:
    """A picture's path as the list has it, the number of its first line, and its captions, each as it was written."""

    path: str
    line: int
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionList:
    """A list that was read.

    ``entries``: one a path, in the order of their first lines; perhaps without captions. ``empty_lines``: numbers of
    the lines whose caption is empty.
    """

    file: Path
    entries: tuple[CaptionsOfPath, ...]
    empty_lines: tuple[int, ...]


def read_caption_list(file: Path) -> CaptionList:
    """Read a list of captions; other columns are passed over.

    Raises:
        TrainingSetUnusable: a line is not what it should be; the message names it.
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
        raise TrainingSetUnusable(f"{file} has a first line and no other, so it captions nothing. Add lines to it.")
    entries = tuple(CaptionsOfPath(name, first_lines[name], tuple(each)) for name, each in captions.items())
    return CaptionList(file, entries, tuple(empty))


def some_of(items: Sequence[object]) -> str:
    """The first few, and how many more there are."""
    rest = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(str(each) for each in items[:_SHOWN]) + rest


def _rows(file: Path) -> Iterator[tuple[int, str, str]]:
    """Yields (line, path, caption), stripped; the caption may be empty."""
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
            f"{file}, line {began} is no CSV ({error}). A caption with a comma, a quote or a line break in it stands "
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
