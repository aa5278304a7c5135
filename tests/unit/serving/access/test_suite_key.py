"""Identities that the suite's services sign for each other."""

from __future__ import annotations

import itertools
import json
import secrets
import time
import tracemalloc

import jwt
import pytest
from jwt.utils import base64url_encode

from serving.access.errors import TokenUnknown
from serving.access.suite_key import IDENTITY_PREFIX, BadSuiteKey, SuiteKey
from serving.access.tokens import MAX_COLLECTIONS
from serving.callers import Caller, Role

ANN = Caller("ann", Role.READ, frozenset({"trip", "holiday"}))
EVERYTHING = Caller("bob", Role.ADMIN)
OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)


@pytest.mark.parametrize("caller", [ANN, EVERYTHING, Caller("none", Role.WRITE, frozenset())])
def test_an_identity_names_its_caller_for_some_minutes(caller: Caller) -> None:
    key = SuiteKey([NEW])
    identity = key.sign(caller)
    assert key.sign(caller) == identity
    for seconds in (-300, 0, 300):
        assert key.caller(identity, time.time() + seconds) == caller
    for seconds in (-3_600, 3_600):
        with pytest.raises(TokenUnknown):
            key.caller(identity, time.time() + seconds)


def test_identities_of_a_caller_of_many_collections_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    key = SuiteKey([NEW])
    many = Caller("many", Role.READ, frozenset(f"{number:063d}" for number in range(MAX_COLLECTIONS)))
    tracemalloc.start()
    for minute in range(200):
        now = minute * 60.0
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert key.caller(key.sign(many), now) == many
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 32 * 2**20


def test_every_identity_begins_as_those_of_earlier_versions_do() -> None:
    head = {"alg": "HS256", "typ": "semsearch-call"}
    began = f"{base64url_encode(json.dumps(head, separators=(',', ':')).encode()).decode()}."
    for key, caller in itertools.product((OLD, NEW), (ANN, EVERYTHING)):
        assert SuiteKey([key]).sign(caller).startswith(began)
    assert began == IDENTITY_PREFIX


def test_a_key_is_replaced_while_both_are_known() -> None:
    first, between, last = SuiteKey([OLD]), SuiteKey([NEW, OLD]), SuiteKey([NEW])
    now = time.time()
    assert between.caller(first.sign(ANN), now) == last.caller(between.sign(ANN), now) == ANN
    with pytest.raises(TokenUnknown):
        last.caller(first.sign(ANN), now)


def test_what_others_sign_is_refused() -> None:
    key = SuiteKey([NEW])
    claims = jwt.decode(key.sign(ANN), options={"verify_signature": False})
    others = (
        jwt.encode(claims, OLD, "HS256"),
        jwt.encode(claims, None, "none"),
        jwt.encode({**claims, "iss": "other"}, NEW, "HS256"),
        jwt.encode({name: claims[name] for name in claims if name != "exp"}, NEW, "HS256"),
        key.sign(ANN)[:-2],
        "a.b.c",
    )
    for each in others:
        with pytest.raises(TokenUnknown):
            key.caller(each, time.time())


def test_a_file_has_a_key_a_line() -> None:
    parsed = SuiteKey.parse(f"\n{NEW}\n\n  {OLD}\n".encode())
    assert parsed.caller(SuiteKey([OLD]).sign(ANN), time.time()) == ANN
    assert SuiteKey([NEW]).caller(parsed.sign(ANN), time.time()) == ANN
    for content in (b"", b"\n \n", b"short"):
        with pytest.raises(BadSuiteKey):
            SuiteKey.parse(content)
