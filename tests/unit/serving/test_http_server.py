"""The HTTP port: its limits, its end, and errors of the code behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import structlog
from starlette.types import Message, Receive, Scope, Send

from serving import http_server
from serving.byte_budget import TooManyBytes
from serving.http_bodies import Bodies
from serving.http_requests import RequestGuard
from serving.http_server import HttpLimits
from tests.http_exchange import SECONDS, connected, exchange, served

Handler = Callable[[Receive, Send], Awaitable[None]]


class App:
    """An application whose answer a test writes."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.entered = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        try:
            await self.handler(receive, send)
        finally:
            self.left.set()


async def ok(_: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def until_refused(address: str) -> None:
    """Wait until no new connection is accepted."""
    with suppress(ConnectionError):
        async with asyncio.timeout(SECONDS):
            while True:
                async with connected(address):
                    pass


async def test_a_request_in_progress_is_finished_before_the_server_ends() -> None:
    may_end = asyncio.Event()

    async def slow(receive: Receive, send: Send) -> None:
        await may_end.wait()
        await ok(receive, send)

    app = App(slow)
    async with served(app) as (server, address):
        answering = asyncio.create_task(exchange(address, "/"))
        await app.entered.wait()
        server.stop(SECONDS)
        await until_refused(address)
        may_end.set()
        assert (await answering).body == b"ok"


async def test_a_request_that_outlasts_the_drain_is_cancelled_and_answered() -> None:
    async def endless(receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    app = App(endless)
    with structlog.testing.capture_logs() as logged:
        async with served(app) as (server, address):
            answering = asyncio.create_task(exchange(address, "/"))
            await app.entered.wait()
            server.stop(0)
            answer = await answering
    assert (answer.status, answer.body) == (503, b"The server is stopping.\n")
    assert not [each for each in logged if each["log_level"] == "error"]


async def test_an_error_of_ours_is_logged_once_and_answered_with_its_trace_id() -> None:
    async def broken(receive: Receive, send: Send) -> None:
        raise RuntimeError("secret")

    with structlog.testing.capture_logs() as logged:
        async with served(App(broken)) as (_, address):
            answer = await exchange(address, "/", {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    assert answer.status == 500
    assert b"a" * 32 in answer.body
    assert b"secret" not in answer.body
    assert [each["event"] for each in logged] == ["internal error"]


async def test_an_error_in_the_middle_of_an_answer_closes_the_connection() -> None:
    async def broken(_: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    with structlog.testing.capture_logs() as logged:
        async with served(App(broken)) as (_, address), connected(address) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert not (await reader.read()).endswith(b"0\r\n\r\n"), "the end of the answer is missing"
    assert [each["event"] for each in logged] == ["internal error"]


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_connection_must_send_the_head_of_a_request_in_time(
    monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.2)
    async with served(App(ok)) as (_, address), connected(address) as (reader, writer):
        writer.write(head)
        await reader.read()  # until the server closes
    async with served(App(ok)) as (_, address), connected(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(head or b"G")
        await reader.read()


async def test_a_connection_ends_after_the_answer_to_a_request_that_comes_after_its_time() -> None:
    limits = HttpLimits(max_connection_age_seconds=0.2)
    async with served(App(ok), limits=limits) as (_, address), connected(address) as (reader, writer):
        head = b""
        while b"connection: close" not in head.lower():
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert await reader.readuntil(b"0\r\n\r\n") == b"2\r\nok\r\n0\r\n\r\n"
        assert await reader.read() == b"", "it is closed"


async def test_an_answer_that_began_in_time_is_finished_and_the_next_one_is_the_last() -> None:
    may_end = asyncio.Event()

    async def slow(receive: Receive, send: Send) -> None:
        await may_end.wait()
        await ok(receive, send)

    limits, loop, app = HttpLimits(max_connection_age_seconds=1), asyncio.get_running_loop(), App(slow)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with served(app, limits=limits) as (_, address), connected(address) as (reader, writer):
        writer.write(request * 2)  # the second one waits for the answer to the first
        await app.entered.wait()
        loop.call_later(1.1, may_end.set)
        answers = (await reader.read()).lower().split(b"http/1.1 200")[1:]
    assert [b"connection: close" in each for each in answers] == [False, True]


async def test_without_a_limit_on_its_age_a_connection_stays() -> None:
    async with served(App(ok)) as (_, address), connected(address) as (reader, writer):
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"close" not in await reader.readuntil(b"0\r\n\r\n")


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with served(App(ok)) as (_, address), connected(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * http_server.MAX_HEAD_BYTES)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_a_client_that_stalls_within_its_request_counts_as_gone() -> None:
    received: asyncio.Queue[Message] = asyncio.Queue()

    async def reads(receive: Receive, send: Send) -> None:
        for _ in range(2):
            received.put_nowait(await receive())

    guarded = RequestGuard(App(reads), stall_seconds=0.2)
    async with served(guarded) as (_, address), connected(address) as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        assert (await received.get())["body"] == b"half"
        assert (await received.get())["type"] == "http.disconnect"


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    async def much(_: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})

    app = App(much)
    with structlog.testing.capture_logs() as logged:
        async with served(RequestGuard(app, stall_seconds=0.2)) as (_, address), connected(address) as (_, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await app.left.wait()
    assert logged == []


async def test_connections_beyond_the_limit_are_refused_and_the_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 2)
    async with served(App(ok)) as (_, address):
        async with connected(address), connected(address) as (reader, writer):
            refused = await exchange(address, "/")
            assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(SECONDS):
            while (await exchange(address, "/")).status != 200:
                pass


async def test_one_address_cannot_take_all_connections() -> None:
    limits = HttpLimits(connections_per_address=1)
    async with served(App(ok), limits=limits) as (_, address), connected(address):
        refused = await exchange(address, "/")
        assert (refused.status, b"from your address" in refused.body) == (429, True)
        limits.connections_per_address = 2
        assert (await exchange(address, "/")).status == 200


async def test_bodies_beyond_the_limit_are_refused_until_others_are_answered() -> None:
    may_end = asyncio.Event()

    async def collect(receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        collected.set()
        await may_end.wait()
        await ok(receive, send)

    collected = asyncio.Event()
    bodies = Bodies(20 * 2**20)
    body = bytes(8 * 2**20)
    async with served(RequestGuard(App(collect), bodies)) as (_, address):
        first = asyncio.create_task(exchange(address, "/", body=body))
        await collected.wait()
        assert bodies.taken == len(body)
        refused = await exchange(address, "/", body=body)
        assert (refused.status, b"Try again" in refused.body) == (429, True)
        assert refused.headers["Retry-After"] == "1"
        may_end.set()
        assert (await first).status == 200
        assert (await exchange(address, "/", body=body)).status == 200
        assert bodies.taken == 0


def test_an_address_holds_half_of_all_bodies_at_most() -> None:
    bodies = Bodies(100)
    with bodies.body("10.0.0.1:1") as one, bodies.body("10.0.0.1:2") as other, bodies.body("10.0.0.2:1") as third:
        one.take(30)
        with pytest.raises(TooManyBytes):
            other.take(30)
        third.take(20)
        one.hold(10)
        other.hold(40)
        assert bodies.taken == 70
    assert (bodies.taken, bodies._addresses) == (0, {})
