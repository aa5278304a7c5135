"""Calls at the gate: whose they are, and what their callers may do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2 as image
from semsearch.v1 import search_service_pb2 as search

from serving import callers
from serving.access.authentication import Authentication, authentication
from serving.access.bearer import HEADER
from serving.access.errors import (
    AccessRefused,
    CollectionNotAllowed,
    MethodClosed,
    NotForSomeCollections,
    RoleTooLow,
    TokenExpired,
    TokenMissing,
    TokenUnknown,
)
from serving.access.gate import AccessGate, access_gate
from serving.access.rules import Rule
from serving.callers import Caller, Role
from serving.gates import Call
from serving.settings import ServiceSettings
from tests.unit.serving.access.made_tokens import MadeTokens

RULES = {
    "Test.Read": Rule(Role.READ, ("collection",), default="gallery"),
    "Test.Write": Rule(Role.WRITE, ("config.collection",), default="gallery"),
    "Test.Update": Rule(Role.WRITE, ("image.collection",), default="gallery"),
    "Test.Count": Rule(Role.READ, ("by_text.collection", "by_image.collection"), default="gallery"),
    "Test.Tag": Rule(Role.READ, ("collection",), default="gallery", if_set=("image_id", "image_ids")),
    "Test.Models": Rule(Role.ADMIN, whole_suite=True),
    "Inside.Store": Rule(Role.ADMIN, ("collection",), whole_suite=True, suite_may=True),
}


class Settings(ServiceSettings):
    service = "gateway"


class Gated:
    """A gate, and calls that arrive there."""

    def __init__(self, folder: Path) -> None:
        self.made = MadeTokens(folder)
        self.made.add("nobody")
        self.authentication = self.authenticated()
        self.gate = AccessGate(self.authentication, RULES)

    def authenticated(self) -> Authentication:
        return authentication(Settings(tokens=str(self.made.path)))

    def token(self, *arguments: Any, **options: Any) -> str:
        token = self.made.add(*arguments, **options)
        assert self.authentication.tokens is not None
        self.authentication.tokens.look()
        return token

    async def call(self, method: str, token: str | None, *requests: Any, header: str = "Bearer {}") -> Caller:
        """Return the caller that the method sees."""
        service, name = method.split(".")
        call = Call(service, name, {} if token is None else {HEADER: header.format(token)}, "ipv4:192.0.2.1:1")

        async def answer() -> Caller:
            async with self.gate.enter(call):
                for request in requests:
                    self.gate.check(call, request)
                return callers.current()

        return await asyncio.create_task(answer())


@pytest.fixture
def gated(tmp_path: Path) -> Gated:
    return Gated(tmp_path)


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (lambda _: None, TokenMissing),
        (lambda _: "", TokenMissing),
        (lambda _: "semsearch_000000000000_wrong", TokenUnknown),
        (lambda _: "a.b.c", TokenUnknown),
        (lambda gated: gated.token("ann", expires_in=-1), TokenExpired),
        (lambda gated: gated.token("ann", "read"), RoleTooLow),
        (lambda gated: gated.token("ann", "admin", "trip"), NotForSomeCollections),
    ],
)
async def test_a_call_is_refused(
    gated: Gated, token: Callable[[Gated], str | None], error: type[AccessRefused]
) -> None:
    with pytest.raises(error):
        await gated.call("Test.Models", token(gated))


async def test_who_was_refused_is_known_to_the_audit_log(gated: Gated) -> None:
    call = Call("Test", "Models", {HEADER: f"Bearer {gated.token('ann', 'read')}"}, "ipv4:192.0.2.1:1")

    async def refused() -> Caller:
        with pytest.raises(RoleTooLow):
            async with gated.gate.enter(call):
                pass
        return callers.current()

    assert await asyncio.create_task(refused()) == Caller("ann", Role.READ)


async def test_a_call_has_its_caller(gated: Gated) -> None:
    token = gated.token("ann", "admin")
    for header in ("Bearer {}", "bearer {}", "BEARER  {} "):
        assert await gated.call("Test.Models", token, header=header) == Caller("ann", Role.ADMIN)
    with pytest.raises(TokenMissing):
        await gated.call("Test.Models", token, header="Basic {}")
    with pytest.raises(MethodClosed):
        await gated.call("Test.New", token)
    assert callers.current() is callers.ANONYMOUS


async def test_a_revoked_token_is_refused_at_once(gated: Gated) -> None:
    token = gated.token("ann")
    assert await gated.call("Test.Read", token)
    del gated.made.file.tokens[-1]
    gated.made.write()
    assert gated.authentication.tokens is not None
    gated.authentication.tokens.look()
    with pytest.raises(TokenUnknown):
        await gated.call("Test.Read", token)


@pytest.mark.parametrize(
    ("method", "request_", "collection"),
    [
        ("Read", search.SearchByTextRequest(collection="trip"), "trip"),
        ("Read", search.SearchByTextRequest(), "gallery"),
        ("Write", gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection="trip")), "trip"),
        ("Write", gallery.IndexImagesRequest(config=gallery.IndexImagesConfig()), "gallery"),
        ("Write", gallery.IndexImagesRequest(image=gallery.ImageUpload()), None),
        ("Update", gallery.UpdateImageRequest(image=image.Image(collection="trip")), "trip"),
        ("Update", gallery.UpdateImageRequest(), "gallery"),
        ("Count", search.CountMatchesRequest(by_image=search.SearchByImageRequest(collection="trip")), "trip"),
        ("Count", search.CountMatchesRequest(by_text=search.SearchByTextRequest()), "gallery"),
        ("Count", search.CountMatchesRequest(), None),
        ("Tag", search.TagImageRequest(content=b"x", collection="trip"), None),
        ("Tag", search.TagImageRequest(image_id="", collection="trip"), "trip"),
        ("Tag", search.TagImageRequest(image_ids=["x"]), "gallery"),
    ],
)
async def test_a_caller_reaches_only_its_own_collections(
    gated: Gated, method: str, request_: Any, collection: str | None
) -> None:
    own = gated.token("ann", "write", collection or "any")
    other = gated.token("bob", "write", "other")
    every = gated.token("eve", "write")
    for token in (own, every):
        await gated.call(f"Test.{method}", token, request_)
    if collection is None:
        await gated.call(f"Test.{method}", other, request_)
    else:
        with pytest.raises(CollectionNotAllowed, match=f'"{collection}"'):
            await gated.call(f"Test.{method}", other, request_)


async def test_the_suite_calls_on_behalf_of_callers_that_could_not(gated: Gated) -> None:
    other = gated.authenticated()

    async def identity(caller: Caller) -> str:
        callers.begin(caller)
        [(name, value)] = other.identity()
        assert name == HEADER
        return value.removeprefix("Bearer ")

    for caller in (Caller("ann", Role.READ, frozenset({"trip"})), Caller("bob", Role.ADMIN)):
        signed = await asyncio.create_task(identity(caller))
        index = search.SearchByTextRequest(collection="of-no-caller")
        assert await gated.call("Inside.Store", signed, index) == caller
    ann = await asyncio.create_task(identity(Caller("ann", Role.READ)))
    with pytest.raises(RoleTooLow):  # a gateway that passes a call on lends no rights
        await gated.call("Test.Write", ann)
    with pytest.raises(RoleTooLow):
        await gated.call("Inside.Store", gated.token("cid", "write"))
    assert await gated.call("Inside.Store", gated.token("dan", "admin"))
    own_work = other.suite.content.sign(callers.SUITE)
    assert other.suite.content.caller(own_work, time.time()) == callers.SUITE
    assert other.identity() == ((HEADER, f"Bearer {own_work}"),)


def test_where_no_callers_are_configured_anyone_may_call() -> None:
    assert access_gate(Settings(), RULES) is None
    assert callers.current().role is Role.ADMIN
    assert callers.is_from_suite()
