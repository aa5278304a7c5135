"""Two gateway processes on one data folder and one port, with an index and an embedder of colours."""

from __future__ import annotations

import itertools
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
from semsearch.v1 import gallery_service_pb2 as gallery

from tests.ports import free_ports
from tests.services.gateway_stack import ColorEmbedderServicer, Service, Stack, color_embedder, service
from tests.services.shared_state import owner


@dataclass
class Processes:
    """Two gateway processes; each is reached at a port of its own, and both at a shared one."""

    data: Path
    index: str
    embedder: ColorEmbedderServicer
    flags: Sequence[str]
    ports: Sequence[int]
    metrics_ports: Sequence[int]
    exits: AsyncExitStack
    shared: str = ""
    running: list[Service] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    collections: Iterator[str] = field(default_factory=lambda: map("c{}".format, itertools.count()))

    async def new_collection(self) -> str:
        """Create an empty collection and return its id."""
        name = next(self.collections)
        await self.follower.gallery.CreateCollection(gallery.CreateCollectionRequest(collection_id=name))
        return name

    async def start(self, number: int) -> None:
        """Start a process, and wait until it serves."""
        own = (f"--own-port={self.ports[number]}", f"--metrics-port={self.metrics_ports[number]}")
        started = await self.exits.enter_async_context(service("gateway", *self.flags, *own))
        channel = await self.exits.enter_async_context(
            grpc.aio.insecure_channel(f"127.0.0.1:{self.ports[number]}", [("grpc.max_reconnect_backoff_ms", 200)])
        )
        stack = Stack(channel, self.embedder, self.data)
        await stack.wait_until_serving("")
        self.shared = started.address
        self.running[number:] = [started, *self.running[number + 1 :]]
        self.stacks[number:] = [stack, *self.stacks[number + 1 :]]

    @property
    def owner(self) -> int:
        """The number of the process that makes changes."""
        return self.ports.index(int(owner(self.index).rpartition(":")[2]))

    @property
    def follower(self) -> Stack:
        return self.stacks[1 - self.owner]

    async def end(self, number: int, how: signal.Signals) -> None:
        self.running[number].process.send_signal(how)
        await self.running[number].process.wait()


@asynccontextmanager
async def two_processes(data: Path, *flags: str) -> AsyncIterator[Processes]:
    """Start the processes with further flags, and wait until they serve; stop them at the end."""
    port, http_port, *others = free_ports(6)
    async with AsyncExitStack() as exits:
        embedder, embedder_port = await exits.enter_async_context(color_embedder())
        index = await exits.enter_async_context(service("index_service", "--port=0", f"--data={data}"))
        all_flags = (
            f"--port={port}",
            f"--http-port={http_port}",
            "--processes=2",
            "--drain-seconds=0.5",
            f"--data={data}",
            f"--embedder=127.0.0.1:{embedder_port}",
            f"--index={index.address}",
            *flags,
        )
        processes = Processes(data, index.address, embedder, all_flags, others[:2], others[2:], exits)
        for number in range(2):
            await processes.start(number)
        yield processes
