"""A gateway over an index and an embedder of colours, for clients that block; and the `semsearch` command."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import grpc.aio
import structlog.testing
from grpc_health.v1 import health_pb2, health_pb2_grpc
from semsearch.cli import main

from tests.services.gateway_stack import START_SECONDS, Service, color_embedder, service, wait_for_health
from tests.unit.gateway.doubles import ColorEmbedder

COMMAND_SECONDS = 60.0
# A home for the command, so that tests neither read nor change the home of the user who runs them.
_HOME = tempfile.TemporaryDirectory(prefix="semsearch-home-")


@dataclass(frozen=True)
class ClientStack:
    """`server` is the gateway's address; `embedder` is the double, which works in another thread.

    With `gateway_flags`, another gateway takes the place of one that has ended.
    """

    server: str
    embedder: ColorEmbedder
    gateway: Service
    gateway_flags: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def semsearch(server: str, *arguments: object, answer: str = "") -> Done:
    """Runs the command against a gateway, in this process: starting another takes half a second each time."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, _environment(server)),
        mock.patch.object(sys, "argv", ["semsearch", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.StringIO(answer)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            return Done(end.code if isinstance(end.code, int) else 0, out.getvalue(), err.getvalue())
    raise AssertionError("the command did not end the process")


def _environment(server: str) -> dict[str, str]:
    return {"SEMSEARCH_CLIENT_SERVER": server, "XDG_STATE_HOME": _HOME.name, "SEMSEARCH_DATA": _HOME.name}


@contextmanager
def semsearch_process(server: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Starts the installed command, with pipes for what it prints; kills it if it still runs."""
    with subprocess.Popen(
        [Path(sys.executable).parent / "semsearch", *map(str, arguments)],
        env={**os.environ, **_environment(server)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def in_terminal(server: str, *arguments: object) -> str:
    """Runs the installed command in a terminal that answers no question; returns what it shows."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    with subprocess.Popen(
        [Path(sys.executable).parent / "semsearch", *map(str, arguments)],
        env={**os.environ, **_environment(server), "TERM": "xterm-256color"},
        stdin=its, stdout=its, stderr=its, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(its)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # how Linux says that nobody writes any more
            pass
        finally:
            os.close(ours)
            process.kill()
    return shown.decode()


@contextmanager
def client_stack(data: Path) -> Iterator[ClientStack]:
    """Starts the services on a data folder, in an event loop and a thread of their own; ends them."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    services = _services(data)
    try:
        # The double would log to the standard output that a command is given.
        with structlog.testing.capture_logs():
            yield asyncio.run_coroutine_threadsafe(anext(services), loop).result(3 * START_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(services.aclose(), loop).result(3 * START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def wait_until_serving(server: str) -> None:
    """Wait until all of a gateway serves."""
    with grpc.insecure_channel(server) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=START_SECONDS)
        assert any(response.status == health_pb2.HealthCheckResponse.SERVING for response in watch)


async def _services(data: Path) -> AsyncGenerator[ClientStack, None]:
    async with AsyncExitStack() as exits:
        embedder, port = await exits.enter_async_context(color_embedder())
        index = await exits.enter_async_context(service("index_service", "--port=0", f"--data={data}"))
        flags = (f"--data={data}", f"--embedder=127.0.0.1:{port}", f"--index={index.address}")
        gateway = await exits.enter_async_context(service("gateway", "--port=0", *flags))
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            await wait_for_health(channel, "", health_pb2.HealthCheckResponse.SERVING)
        yield ClientStack(gateway.address, embedder.embedder, gateway, (f"--port={gateway.port}", *flags))
