"""Tokens of the file: who has one, and which files are refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from semsearch.access.v1 import token_file_pb2 as pb

from serving.access.errors import TokenExpired, TokenUnknown
from serving.access.tokens import BadTokenFile, Tokens
from serving.callers import Caller, Role
from tests.unit.serving.access.made_tokens import MadeTokens


@pytest.fixture
def made(tmp_path: Path) -> MadeTokens:
    return MadeTokens(tmp_path)


def caller(made: MadeTokens, token: str, now: float | None = None) -> Caller:
    return Tokens.parse(made.path.read_bytes()).identify(token, time.time() if now is None else now).caller


def test_a_token_has_the_name_role_and_collections_of_its_entry(made: MadeTokens) -> None:
    some, every = made.add("ann", "read", "holiday", "trip"), made.add("bob", "admin")
    assert caller(made, some) == Caller("ann", Role.READ, frozenset({"holiday", "trip"}))
    assert caller(made, every) == Caller("bob", Role.ADMIN, None)


def test_two_tokens_of_one_caller_are_valid_at_once_until_the_old_one_expires(made: MadeTokens) -> None:
    old, new = made.add("ann", "write", expires_in=60), made.add("ann", "write")
    assert caller(made, old) == caller(made, new)
    with pytest.raises(TokenExpired, match="UTC"):
        caller(made, old, time.time() + 61)
    assert caller(made, new, time.time() + 61).name == "ann"


def test_nothing_else_is_a_token(made: MadeTokens) -> None:
    token = made.add("ann", expires_in=-1)
    token_id, secret = token.split("_", 2)[1:]
    wrong = ("", "semsearch_", f"semsearch_{token_id}", f"semsearch_{token_id}_{secret[:-1]}", secret, f"{token}x",
             token.upper(), f"semsearch_{'0' * 12}_{secret}")  # fmt: skip
    for each in wrong:
        with pytest.raises(TokenUnknown):
            caller(made, each)


def test_the_file_has_no_token(made: MadeTokens) -> None:
    secret = made.add("ann").split("_", 2)[2]
    assert secret not in made.path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("id", "no-id", "an id"),
        ("caller", "ann\n", "a caller"),
        ("caller", "oidc:ann", "a caller"),
        ("role", 0, "no role"),
        ("sha256", "00", "a sha256"),
        ("collections", ["trip", ""], "a collection"),
        ("collections", ["x" * 64], "a collection"),
        ("collections", ["trip"] * 1_001, "more than 1,000"),
    ],
)
def test_an_entry_that_is_wrong_is_named(made: MadeTokens, field: str, value: Any, problem: str) -> None:
    made.add("ann")
    made.file.tokens[0].ClearField(field)  # type: ignore[arg-type]
    made.file.tokens[0].MergeFrom(pb.AccessToken(**{field: value}))
    made.write()
    with pytest.raises(BadTokenFile, match=rf"tokens\[0\] has {problem}"):
        Tokens.parse(made.path.read_bytes())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"token": []}', b'{"tokens": [{"role": "ROLE_ROOT"}]}'])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(BadTokenFile):
        Tokens.parse(content)


def test_an_id_stands_for_one_token(made: MadeTokens) -> None:
    made.add("ann")
    made.file.tokens.append(made.file.tokens[0])
    made.write()
    with pytest.raises(BadTokenFile, match="two tokens"):
        Tokens.parse(made.path.read_bytes())
