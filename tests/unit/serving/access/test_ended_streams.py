"""Streams in progress when the token that they began with changes, expires or is revoked, over gRPC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from semsearch.access.v1 import token_file_pb2 as pb

from serving import watched_file
from serving.access import ended_streams
from serving.access.authentication import Authentication, authentication
from serving.access.bearer import HEADER
from serving.access.gate import AccessGate
from serving.access.identity import Identity
from serving.access.rules import Rule
from serving.callers import Caller, Role
from serving.interceptors import CallInterceptor
from serving.received_errors import reason_of
from serving.settings import ServiceSettings
from tests.unit.serving.access.made_tokens import MadeTokens
from tests.unit.serving.access.provider import AUDIENCE, ISSUER, Provider

SECONDS = 10.0
METHODS = ("Watch", "Upload", "Collect", "Finish")


class Settings(ServiceSettings):
    service = "gateway"


class Served:
    """A server's methods, and how often it has looked at a token."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = MadeTokens(folder)
        self.provider = Provider()
        self.key_set = folder / "keys.json"
        self.key_set.write_bytes(self.provider.key_set())
        self.looks = self.collected = 0
        self.finish = asyncio.Event()
        monkeypatch.setattr(ended_streams, "POLL_SECONDS", 0.02)
        monkeypatch.setattr(watched_file, "POLL_SECONDS", 0.02)
        identify = Authentication.identify

        async def counted(authentication: Authentication, metadata: Mapping[str, str]) -> Identity:
            self.looks += 1
            return await identify(authentication, metadata)

        monkeypatch.setattr(Authentication, "identify", counted)

    def authentication(self) -> Authentication:
        oidc = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_keys": str(self.key_set)}
        return authentication(Settings(tokens=str(self.made.path), oidc_algorithms="ES256", **oidc))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[grpc.aio.Channel]:
        gate = AccessGate(self.authentication(), {f"Test.{name}": Rule(Role.READ) for name in METHODS})
        server = grpc.aio.server(interceptors=[CallInterceptor({}, [gate])])
        handlers = {
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            "Upload": grpc.stream_stream_rpc_method_handler(self._upload),
            "Collect": grpc.stream_unary_rpc_method_handler(self._collect),
            "Finish": grpc.unary_unary_rpc_method_handler(self._finish),
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        async with asyncio.timeout(SECONDS), gate.kept_current():
            await server.start()
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    yield channel
            finally:
                await server.stop(0)

    def revoke(self, index: int = -1) -> None:
        del self.made.file.tokens[index]
        self.made.write()

    async def _watch(self, request: bytes, context: object) -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()

    async def _upload(self, requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def _collect(self, requests: AsyncIterator[bytes], context: object) -> bytes:
        async for _ in requests:
            self.collected += 1
        return b""

    async def _finish(self, request: bytes, context: object) -> bytes:
        await self.finish.wait()
        return b"done"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    return Served(tmp_path, monkeypatch)


def metadata(token: str) -> list[tuple[str, str]]:
    return [(HEADER, f"Bearer {token}")]


def short_token(provider: Provider) -> str:
    """Return a token that is accepted for one to two seconds: a provider's token has 30 more, and whole ones."""
    return provider.token(exp=int(time.time()) - 28)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 — nothing else shows it
        await asyncio.sleep(0.01)


async def watch(channel: grpc.aio.Channel, token: str) -> Any:
    """Begin a stream in which only the server sends."""
    call = channel.unary_stream("/Test/Watch")(b"", metadata=metadata(token))
    assert await call.read() == b"begun"
    return call


async def upload(channel: grpc.aio.Channel, token: str) -> Any:
    """Begin a stream in which only the client would send next."""
    call = channel.stream_stream("/Test/Upload")(metadata=metadata(token))
    await call.write(b"1")
    assert await call.read() == b"1"
    return call


async def refusal(call: Any) -> tuple[str, str]:
    """Return the code and the reason with which a stream ends."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    return ended.value.code().name, reason_of(ended.value)


@pytest.mark.parametrize("begin", [watch, upload])
async def test_a_revoked_token_ends_its_streams_and_no_others(server: Served, begin: Any) -> None:
    others, mine = server.made.add("bob"), server.made.add("ann")
    async with server.open() as channel:
        other, call = await upload(channel, others), await begin(channel, mine)
        server.revoke()
        assert await refusal(call) == ("UNAUTHENTICATED", "TOKEN_UNKNOWN")
        await other.write(b"2")
        assert await other.read() == b"2"
        other.cancel()


async def test_a_revoked_token_ends_an_upload_that_is_answered_at_its_end(server: Served) -> None:
    token = server.made.add("ann")
    async with server.open() as channel:
        call = channel.stream_unary("/Test/Collect")(metadata=metadata(token))
        await call.write(b"1")
        await until(lambda: server.collected == 1)
        server.revoke()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call
        assert (ended.value.code(), reason_of(ended.value)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")


async def test_a_token_that_expires_ends_its_streams(server: Served) -> None:
    token = server.made.add("ann", expires_in=0.5)
    async with server.open() as channel:
        assert await refusal(await watch(channel, token)) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")


async def test_a_token_that_is_valid_for_longer_than_it_was_keeps_its_streams(server: Served) -> None:
    token = server.made.add("ann", expires_in=0.5)
    async with server.open() as channel:
        call = await upload(channel, token)
        begun = server.looks
        server.made.file.tokens[0].ClearField("expire_time")
        server.made.write()
        await until(lambda: server.looks > begun)
        # This one tells when its own first time is over.
        assert await refusal(await watch(channel, short_token(server.provider)))
        await call.write(b"2")
        assert await call.read() == b"2"
        call.cancel()


@pytest.mark.parametrize("change", [{"role": pb.ROLE_WRITE}, {"collections": ["trip"]}, {"caller": "eve"}])
async def test_a_token_that_is_changed_ends_its_streams(server: Served, change: dict[str, Any]) -> None:
    token = server.made.add("ann")
    async with server.open() as channel:
        call = await watch(channel, token)
        server.made.file.tokens[0].MergeFrom(pb.AccessToken(**change))
        server.made.write()
        assert await refusal(call) == ("UNAUTHENTICATED", "TOKEN_CHANGED")


async def test_a_providers_token_ends_its_streams_when_it_expires_or_its_key_is_withdrawn(server: Served) -> None:
    async with server.open() as channel:
        long, short = server.provider.token(), short_token(server.provider)
        call = await watch(channel, long)
        assert await refusal(await watch(channel, short)) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
        server.key_set.write_bytes(Provider().key_set())
        assert await refusal(call) == ("UNAUTHENTICATED", "TOKEN_UNKNOWN")


async def test_a_token_is_looked_at_once_for_each_change_and_never_for_a_message(server: Served) -> None:
    others, mine = server.made.add("bob"), server.made.add("ann")
    async with server.open() as channel:
        other, call = await upload(channel, others), await upload(channel, mine)
        for _ in range(5):
            await other.write(b"2")
            assert await other.read() == b"2"
        assert server.looks == 2
        server.revoke()
        await refusal(call)
        await until(lambda: server.looks == 4)
        other.cancel()


async def test_a_call_that_is_no_stream_is_finished(server: Served) -> None:
    others, mine = server.made.add("bob"), server.made.add("ann")
    async with server.open() as channel:
        other, call = await watch(channel, others), channel.unary_unary("/Test/Finish")(b"", metadata=metadata(mine))
        await until(lambda: server.looks == 2)
        del server.made.file.tokens[:]
        server.made.write()
        await refusal(other)
        server.finish.set()
        assert await call == b"done"


async def test_a_call_of_the_suite_outlasts_the_identity_with_which_it_began(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = server.made.add("bob")
    identity = server.authentication().suite.content.sign(Caller("ann", Role.READ))
    async with server.open() as channel:
        call, other = await upload(channel, identity), await watch(channel, others)
        later = time.time() + 3_600
        monkeypatch.setattr(time, "time", lambda: later)
        server.revoke()
        await refusal(other)
        await call.write(b"2")
        assert await call.read() == b"2"
        call.cancel()
