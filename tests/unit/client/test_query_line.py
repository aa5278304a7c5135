"""The parsing of a line of words, images, signs and weights, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from semsearch.cli.query_line import QueryError, marked, read_query
from semsearch.values import Term


@pytest.fixture(autouse=True)
def beach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "beach.jpg"
    file.write_bytes(b"")
    return file


def pictures(*arguments: str) -> list[tuple[str, float]]:
    """The images of a line, by path or id, and their weights."""
    return [(str(each.path or each.image_id), each.weight) for each in read_query(arguments).pictures]


def terms(*arguments: str) -> list[Term]:
    return [term for _, term in read_query(arguments).terms()]


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (["dog", "+", "sofa"], "dog sofa"),
        (["dog", "-", "fruit", "2:sofa"], "dog -fruit sofa^2"),
        (["2:sports car", "-", "golden retriever"], '"sports car"^2 -"golden retriever"'),
        (["2:sofa"], "sofa^2"),
        (["2:sports car"], '"sports car"^2'),
        (["-0.5:snow", "ice"], "-snow^0.5 ice"),
        (["1,5:snow", "+ice"], "snow^1.5 ice"),
        (["16:9", "screen"], "16:9 screen"),
        (["-", 'a "b" c', "d"], '-(a "b" c) d'),
        (["−", "dog", "cat"], "-dog cat"),
        # What people type into a search field stays as it is.
        (["cat sofa"], "cat sofa"),
        (["dog", "NOT", "cat"], "dog NOT cat"),
        (["dog", "!cat", "beach^0.5", "–shark"], "dog !cat beach^0.5 –shark"),
        (['"sports car" - red + x'], '"sports car" - red + x'),
        (["king", "-", "man", "+", "woman"], "king -man woman"),
    ],
)
def test_words_become_a_query_of_the_server(arguments: list[str], query: str) -> None:
    line = read_query(arguments)
    assert (line.text, line.pictures) == (query, ())


def test_images_are_paths_file_names_and_ids(beach: Path) -> None:
    assert pictures("dog", "./beach.jpg") == [("beach.jpg", 1.0)]
    assert pictures(str(beach)) == [(str(beach), 1.0)]
    assert pictures("beach.jpg", "+", "2:./beach.jpg") == [("beach.jpg", 1.0), ("beach.jpg", 2.0)]
    assert pictures("dog", "-", "./beach.jpg", "-0.5:id:3f9a") == [("beach.jpg", -1.0), ("3f9a", -0.5)]
    assert pictures("dog", "NOT", "./beach.jpg") == [("beach.jpg", -1.0)]
    assert pictures("dog", "and/or", "a.b", "TCP/IP") == []


def test_words_beside_an_image_are_terms() -> None:
    assert terms("beach^0.5", "-sports car^2", "dog^-1", "x^", "2:sofa", "-", "0.5:fruit", "./beach.jpg") == [
        Term("beach", 0.5),
        Term("sports car", -2.0),
        Term("dog", -1.0),
        Term("x", 1.0),
        Term("sofa", 2.0),
        Term("fruit", -0.5),
    ]


def test_every_sign_of_negation_gives_a_negative_weight() -> None:
    words = ["beach", "–dog", "−dog", "!dog", "NOT", "dog", "without", "dog", "sea"]
    assert terms(*words) == [Term("beach", 1.0), *[Term("dog", -1.0)] * 5, Term("sea", 1.0)]


@pytest.mark.parametrize("word", ["dog^much", "dog^1^2", "dog^nan", "dog^inf", "dog^0"])
def test_an_invalid_weight_is_an_error_with_its_place(word: str) -> None:
    with pytest.raises(QueryError) as caught:
        terms("cat", word)
    assert caught.value.place == 1


@pytest.mark.parametrize(
    ("arguments", "place", "problem"),
    [
        (["dog", "+"], 1, "must be followed by a word"),
        (["-"], 0, "must be followed by a word"),
        (["dog", "+", "-", "cat"], 2, "follows another sign"),
        (["dog", "+", "-./beach.jpg"], 2, "already has a sign"),
        (["dog", "2:"], 1, "write 2:sofa"),
        (["dog", "0:cat"], 1, "weight of 0"),
        (["dog", "2:cat^3"], 1, "two weights"),
        (["dog", "+", "./none.jpg"], 2, "There is no file ./none.jpg"),
        (["dog", "none.jpg"], 1, "There is no file none.jpg"),
        (["dog", "./"], 1, "is a folder"),
        (["dog", ".." + "/.." * 3], 1, "is a folder"),
        (["dog", "id:"], 1, "must be followed by the id"),
        (["https://example.org/a.jpg"], 0, "Download it"),
        (["./" + "x" * 5_000 + ".jpg"], 0, "There is no file"),
        (["~nobody-of-this-name/a.jpg"], 0, "There is no file"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(arguments: list[str], place: int, problem: str) -> None:
    with pytest.raises(QueryError, match=problem) as caught:
        read_query(arguments)
    assert caught.value.place == place


def test_the_mark_is_below_the_argument() -> None:
    assert marked(["dog", "+", "犬 x", "2:"], [3]) == ["  dog + '犬 x' 2:", "               ^^"]
    assert marked(["a\x1b[2J", "b"], [1]) == ["  a\\x1b[2J b", "           ^"]
    assert marked(["a", "b"], []) == []
