"""Requests under foreign names are refused where only this machine is served."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse

from gateway.web.hosts import HostGuard
from tests.http_exchange import exchange, served

OWN = [
    "localhost",
    "localhost:8080",
    "gallery.localhost:8080",
    "127.0.0.1:8080",
    "192.168.1.5",
    "[::1]:8080",
    "LOCALHOST",
]


@pytest.mark.parametrize("listening", ["127.0.0.1", "localhost", "[::1]", "127.0.0.5"])
async def test_on_a_loopback_address_only_own_names_are_answered_to(listening: str) -> None:
    async with served(HostGuard(PlainTextResponse("ok"), listening, ("photos.example",))) as (_, address):
        for host in (*OWN, "photos.example", "Photos.Example:443"):
            assert (await exchange(address, "/", {"Host": host})).status == 200, host
        for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "photos.example.evil", "", "::1:x"):
            answer = await exchange(address, "/", {"Host": host})
            assert (answer.status, b"HTTP_ALLOWED_HOSTS" in answer.body) == (421, True), host


async def test_on_other_addresses_every_name_is_answered_to_unless_some_are_listed() -> None:
    async with served(HostGuard(PlainTextResponse("ok"), "0.0.0.0", ())) as (_, address):
        assert (await exchange(address, "/", {"Host": "any.example"})).status == 200
    async with served(HostGuard(PlainTextResponse("ok"), "0.0.0.0", ("photos.example",))) as (_, address):
        assert (await exchange(address, "/", {"Host": "photos.example"})).status == 200
        refused = await exchange(address, "/", {"Host": "any.example"})
        assert (refused.status, b"own machine" in refused.body) == (421, False)
