"""Brackets in queries: what a sign or a weight at one means, and what many of them cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text.query import Term, parse


@dataclass(frozen=True)
class Word:
    """A word as it is typed."""

    text: str
    sign: str
    weight: str


@dataclass(frozen=True)
class Group:
    """A bracket as it is typed, with what it encloses."""

    inside: tuple[Typed, ...]
    sign: str
    weight: str


Typed: TypeAlias = Word | Group

SIGNS = st.sampled_from(["", "-", "!"])
WEIGHTS = st.sampled_from(["", "^1", "^2", "^0.5", "^4"])  # exact in any order of multiplication
TYPED: st.SearchStrategy[Typed] = st.recursive(
    st.builds(Word, st.sampled_from(["dog", "red", "sofa"]), SIGNS, WEIGHTS),
    lambda inner: st.builds(Group, st.lists(inner, max_size=3).map(tuple), SIGNS, WEIGHTS),
    max_leaves=20,
)


def written(typed: Typed) -> str:
    if isinstance(typed, Word):
        return f"{typed.sign}{typed.text}{typed.weight}"
    return f"{typed.sign}({' '.join(map(written, typed.inside))}){typed.weight}"


def meant(typed: Typed) -> list[tuple[str, float, bool]]:
    """Return the words, their weights, and whether these are explicit."""
    factor = float(typed.weight.strip("^") or 1) * (-1 if typed.sign else 1)
    if isinstance(typed, Word):
        return [(typed.text, factor, bool(typed.weight))]
    inside = [word for each in typed.inside for word in meant(each)]
    return [(text, weight * factor, weighted or bool(typed.weight)) for text, weight, weighted in inside]


@given(st.lists(TYPED, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_a_sign_or_a_weight_at_a_bracket_applies_to_everything_inside(
    typed: list[Typed], closes: bool, closes_nothing: bool
) -> None:
    text = " ".join(map(written, typed))
    if not closes:
        text = text.rstrip(")")  # an unclosed bracket extends to the end
    if closes_nothing:
        text = f")^2 {text}"
    words = [word for each in typed for word in meant(each)]
    if words:
        assert [(term.text, term.weight, term.weighted) for term in parse(text)] == words


@pytest.mark.parametrize(
    "text",
    ["(" * 1_000 + "a " * 90, "-(" * 600 + "a " * 90, "(a" * 90 + ")^1" * 90, "(" * 300 + "a " * 90 + ")^1" * 300],
    ids=["unclosed", "signs", "nested", "closed"],
)
def test_brackets_do_not_multiply_the_work_for_words(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    make = Term.__init__

    def count(term: Term, *args: Any, **fields: Any) -> None:
        nonlocal made
        made += 1
        make(term, *args, **fields)

    monkeypatch.setattr(Term, "__init__", count)
    assert len(parse(text)) == 90
    assert made <= 3 * 90
