"""Tables for terminals of every width, and the characters that they may not hold."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console
from semsearch.cli.output import Output, understood_text
from semsearch.values import Image, UnderstoodTerm

COLUMNS = ["# ", "relevance ", "image", "id"]
PATH = "holidays/2024/" + "a-very-long-name-without-a-space" * 3 + ".jpg"
SHA256 = "3f9a" * 16


def shown(width: int, rows: list[list[str]]) -> str:
    output = Output(as_json=False)
    output.results = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    output.table(COLUMNS, rows)
    assert isinstance(output.results.file, io.StringIO)
    return output.results.file.getvalue()


@pytest.mark.parametrize("width", [10, 20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("row", [["1", "0.999", PATH, SHA256[:12]], ["10", "0.5", "東京/写真.jpg", "my own id"]])
def test_nothing_is_cut_at_any_width(width: int, row: list[str]) -> None:
    text = shown(width, [row])
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    letters = "".join(text.split())
    for cell in row:
        assert set(cell.replace(" ", "")) <= set(letters)
    if width == 200:
        assert all(cell in text for cell in row)


def test_numbers_and_short_ids_stay_whole_in_a_table() -> None:
    text = shown(60, [["1", "0.999", PATH, SHA256[:12]]])
    assert "relevance" in text
    assert "0.999" in text
    assert SHA256[:12] in text


def test_a_narrow_terminal_gets_blocks_of_lines() -> None:
    assert shown(20, [["1", "0.9", "a.jpg", "x"], ["2", "0.8", "b.jpg", ""]]).splitlines() == [
        "#: 1", "relevance: 0.9", "image: a.jpg", "id: x", "", "#: 2", "relevance: 0.8", "image: b.jpg", "",
    ]  # fmt: skip


def test_cells_are_harmless() -> None:
    assert "\x1b" not in shown(80, [["1", "0.9", "\x1b[2J.jpg", "x"]])
    assert r"\x1b[2J.jpg" in shown(80, [["1", "0.9", "\x1b[2J.jpg", "x"]])


def test_a_terminal_shows_a_short_id_and_a_pipe_the_full_one() -> None:
    output = Output(as_json=False)
    image = Image(SHA256, "gallery", {}, SHA256, "image/png", 1, 1, 1, datetime.now(UTC))
    assert output.id_of(image) == SHA256
    output.results = Console(file=io.StringIO(), force_terminal=True)
    assert output.id_of(image) == SHA256[:12]


def test_what_was_understood_is_one_line() -> None:
    terms = [UnderstoodTerm("dog", ("dog",), 1.0), UnderstoodTerm("sports car", ("sports", "car"), -2.0)]
    assert understood_text(terms) == "dog − sports car^2"
