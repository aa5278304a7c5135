"""The parsing of words on a command line."""

from __future__ import annotations

import math
from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from semsearch.cli.options import QueryCommand, arguments_of, equal_of
from semsearch.cli.query_line import read_query
from semsearch.values import Term
from typer.testing import CliRunner


def parsed(*arguments: str) -> tuple[str, int]:
    """Return the query of a command line, and an option of it."""
    received: list[tuple[str, int]] = []
    app = typer.Typer()

    @app.command(cls=QueryCommand)
    def command(words: list[str], count: Annotated[int, typer.Option("-n", "--count")] = 20) -> None:
        received.append((read_query(arguments_of(words)).text, count))

    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return received[0]


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (["dog"], "dog"),
        (["cat sofa"], "cat sofa"),
        (["cat", "sofa"], "cat sofa"),
        (["sports car", "red"], '"sports car" red'),
        (["red", "-sports car^0.5"], 'red -"sports car"^0.5'),
        (['"sports car" -red', "x"], '"sports car" -red x'),
        (["beach^0.5", "-dog"], "beach^0.5 -dog"),
        (["-dog", "-köter"], "-dog -köter"),
        (["--", "-n", "-x"], "-n -x"),
    ],
)
def test_arguments_are_a_query(arguments: list[str], query: str) -> None:
    assert parsed(*arguments) == (query, 20)


@pytest.mark.parametrize("option", [["-n", "5"], ["-n5"], ["--count", "5"], ["--count=5"]])
def test_options_stay_options_beside_words_to_steer_away_from(option: list[str]) -> None:
    assert parsed("beach", "-dog", *option) == ("beach -dog", 5)
    assert parsed(*option, "-nose", "beach") == ("-nose beach", 5)


WORD = st.from_regex(r"[a-z]{2,9}", fullmatch=True)


@given(words=st.lists(st.tuples(st.booleans(), WORD), min_size=1, max_size=6))
def test_any_words_come_through_with_their_signs(words: list[tuple[bool, str]]) -> None:
    arguments = [("-" if negative else "") + word for negative, word in words]
    assert parsed(*arguments) == (" ".join(arguments), 20)
    terms = [term for _, term in read_query(arguments).terms()]
    assert terms == [Term(word, -1.0 if negative else 1.0) for negative, word in words]


@pytest.mark.parametrize(
    ("filters", "equal"),
    [
        (None, {}),
        (["album=Rome 2019"], {"album": ["Rome 2019"]}),
        (["year=2019"], {"year": ["2019", 2019]}),
        (["f=1.5", "t=true", "n=null"], {"f": ["1.5", 1.5], "t": ["true", True], "n": ["null", None]}),
        (["a=x", "a=y"], {"a": ["x", "y"]}),
        (["a==b=c"], {"a": ["=b=c"]}),
        (["a="], {"a": [""]}),
        (['a=["x"]', 'b="x"'], {"a": ['["x"]'], "b": ['"x"']}),
        (["a=NaN", "b=-Infinity", "c=1e999"], {"a": ["NaN"], "b": ["-Infinity"], "c": ["1e999"]}),
        (["a=" + "9" * 400], {"a": ["9" * 400]}),
        ([f"a={2**53 + 1}"], {"a": [str(2**53 + 1)]}),
        (["a=" + "[" * 100_000], {"a": ["[" * 100_000]}),
    ],
)
def test_filters_stand_for_text_and_for_what_it_reads_as(filters: list[str] | None, equal: dict[str, object]) -> None:
    assert equal_of(filters) == equal


@pytest.mark.parametrize("word", ["album", "=x", ""])
def test_a_filter_without_key_or_value_is_wrong_usage(word: str) -> None:
    with pytest.raises(typer.BadParameter):
        equal_of([word])


@given(number=st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_that_a_message_can_carry_is_a_number(number: float) -> None:
    _, *values = equal_of([f"a={number}"])["a"]
    carried = isinstance(number, float) or (abs(number) < 2**1024 and int(float(number)) == number)
    assert values == ([number] if carried else [])
    assert all(math.isfinite(float(value)) for value in values if isinstance(value, int | float))
