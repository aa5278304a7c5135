"""The saved last search; failures to save or read it are never errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from semsearch.cli.last_search import LastSearch, recall, remember

SEARCH = LastSearch("127.0.0.1:1", "gallery", ("a", "b", "c"), 21, "token")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMSEARCH_CLIENT_STATE", str(tmp_path))
    return tmp_path


def test_the_last_search_keeps_its_result_numbers() -> None:
    assert recall() is None
    remember(SEARCH)
    assert recall() == SEARCH
    assert [SEARCH.id_of(number) for number in (20, 21, 23, 24)] == [None, "a", "c", None]
    remember(LastSearch("far:1", "trip", ()))
    assert recall() == LastSearch("far:1", "trip", ())


@pytest.mark.parametrize("text", ["", "[]", '{"ids": 5}', '{"ids": [], "other": 1}', "\udcff"])
def test_what_cannot_be_read_is_no_search(home: Path, text: str) -> None:
    remember(SEARCH)
    (file,) = home.iterdir()
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert recall() is None


def test_a_home_that_cannot_be_written_to_is_no_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("SEMSEARCH_CLIENT_STATE", os.fspath(home / "file"))
    remember(SEARCH)
    assert recall() is None
