"""The names of a feature set's classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.errors import TrainingSetUnusable
from trainer.labels.class_words import ClassWords, classes_of, write_class_words


def test_folders_name_classes_and_synonyms_rename_them(tmp_path: Path) -> None:
    (tmp_path / "synonyms.json").write_text('{"sports car": "car"}')
    called = classes_of(("Sports_Car", "dog"), synonyms=tmp_path / "synonyms.json")
    assert [each.word for each in called] == ["car", "dog"]


def test_a_file_of_classes_may_have_more_classes_but_not_fewer(tmp_path: Path) -> None:
    written = (ClassWords("c", "cat"), ClassWords("a", "ant"), ClassWords("b", "bee", ("insect",)))
    write_class_words(tmp_path / "labels.json", written)
    assert classes_of(("a", "b"), tmp_path / "labels.json") == written[1:]
    with pytest.raises(TrainingSetUnusable, match="does not have d, e"):
        classes_of(("a", "d", "e"), tmp_path / "labels.json")
