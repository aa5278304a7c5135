"""Calls to a real server, while the caller's certificate is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from structlog.testing import capture_logs

from serving.channels import Channels
from serving.tls import CertificateFiles
from tests.unit.serving.certified import Certified, echo_server

DEADLINE_SECONDS = 30.0


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path / "certs")


def channel_with(files: CertificateFiles, address: str) -> grpc.aio.Channel:
    return Channels(2**20, files).open(address)


async def until(files: CertificateFiles, holds: Callable[[], Any]) -> None:
    """Let the files be looked at, as `keep_following` does, until something holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await holds():
            files.look()
            for listener in files._listeners:
                listener()
            await asyncio.sleep(0.01)


async def test_new_calls_show_the_new_certificate_and_streams_go_on(certified: Certified) -> None:
    mine = certified.files("client")
    async with echo_server(certified.files()) as echo, channel_with(mine, echo.address) as channel:
        caller = channel.unary_unary("/example.Echo/Caller")
        streams = []
        for _ in range(3):
            stream: Any = channel.stream_stream("/example.Echo/Stream")(timeout=DEADLINE_SECONDS)
            await stream.write(b"first")
            assert await stream.read() == b"first"
            streams.append(stream)
            certified.folder.renew(["client"])
            new = certified.file("client.crt").read_bytes()

            async def shows_new(new: bytes = new) -> bool:
                return bool(await caller(b"", timeout=DEADLINE_SECONDS) == new)

            await until(mine, shows_new)
        for stream in streams:
            await stream.write(b"last")
            assert await stream.read() == b"last"
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF


async def test_a_certificate_that_is_refused_leaves_the_old_one_in_use(certified: Certified, tmp_path: Path) -> None:
    mine, foreign = certified.files("client"), Certified(tmp_path / "foreign")
    async with echo_server(certified.files()) as echo, channel_with(mine, echo.address) as channel:
        caller = channel.unary_unary("/example.Echo/Caller")
        before = certified.file("client.crt").read_bytes()
        assert await caller(b"", timeout=DEADLINE_SECONDS) == before
        for name in ("client.key", "client.crt"):
            certified.file(name).write_bytes(foreign.file(name).read_bytes())
        with capture_logs() as logs:

            async def is_logged() -> bool:
                assert await caller(b"", timeout=DEADLINE_SECONDS) == before
                return any("does not connect" in each["event"] for each in logs)

            await until(mine, is_logged)
        certified.folder.add("client", overwrite=True)

        async def shows_new() -> bool:
            return bool(await caller(b"", timeout=DEADLINE_SECONDS) == certified.file("client.crt").read_bytes())

        await until(mine, shows_new)
