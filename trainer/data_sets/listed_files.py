"""Data sets that are a list: a line an image, with its path, its labels and its side, in JSONL or CSV.

Contract: paths are relative to the folder of the list. A line that does not say what it should, or whose file is not
there, is refused by its number: a list is written by a program, and so is its error.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.data_sets.labelled_file import LabelledFile, split_of
from trainer.errors import TrainingSetUnusable

__all__ = ["read_csv", "read_jsonl"]

_JSONL = '{"file": "a.jpg", "label": "cat"}, or "labels": ["cat", "sofa"]; "split" may be "train" or "validation"'
_CSV = "file, label or labels (cat|sofa), and split (train or validation) if there is one, as the first line names them"


def read_jsonl(path: Path) -> Iterator[LabelledFile]:
    """Yields the images of lines such as `{"file": "a.jpg", "labels": ["cat", "sofa"], "split": "train"}`.

    Raises:
        TrainingSetUnusable: a line is something else, or its file cannot be read.
    """
    for number, line in _lines(path):
        try:
            entry = json.loads(line)
            labels = entry["labels"] if "labels" in entry else [entry["label"]]
            if not isinstance(labels, list):
                raise TypeError("labels are no list")  # noqa: TRY301
            yield _image(path, entry["file"], [str(label) for label in labels], entry.get("split"))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise _refused(path, number, error, _JSONL) from error


def read_csv(path: Path) -> Iterator[LabelledFile]:
    """Yields the images of a CSV file with the columns file (or path), label (or labels, separated by "|") and split.

    Raises:
        TrainingSetUnusable: a line is something else, or its file cannot be read.
    """
    rows = csv.DictReader(line for _, line in _lines(path))
    try:
        for row in rows:
            yield _row_image(path, row)
    except (ValueError, KeyError, TypeError, OSError, csv.Error) as error:
        raise _refused(path, rows.line_num, error, _CSV) from error


def _row_image(path: Path, row: Mapping[str, str | None]) -> LabelledFile:
    file, labels = row.get("file", row.get("path")), row.get("labels", row.get("label"))
    if not file or labels is None:
        raise KeyError("file" if not file else "label")
    return _image(path, file, labels.split("|"), row.get("split"))


def _image(path: Path, file: str, labels: list[str], split: Any) -> LabelledFile:
    distinct = tuple(dict.fromkeys(label.strip() for label in labels))
    if not distinct or "" in distinct:
        raise ValueError("a label is empty")
    return LabelledFile(file, (path.parent / file).read_bytes(), distinct, split_of(split))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from enumerate(file, start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingSetUnusable(f"{path} cannot be read as UTF-8 text ({error}). Write the list anew.") from error


def _refused(path: Path, number: int, error: Exception, wanted: str) -> TrainingSetUnusable:
    return TrainingSetUnusable(f"{path}, line {number} names no image ({error}). It should be {wanted}.")
