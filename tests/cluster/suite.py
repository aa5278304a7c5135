"""The suite spread over machines: gateways, embedders and an index, which may keep its vectors in Weaviate."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.cluster.gallery import Connect, GatewayGallery
from tests.cluster.guard import Guard, Open
from tests.cluster.network import Disk, Machine, Network, network
from tests.cluster.server import Server
from tests.cluster.weaviate_nodes import GRPC_PORT, HTTP_PORT, start_cluster, weaviate_nodes

GATEWAY_PORT, EMBEDDER_PORT, INDEX_PORT = 50051, 50052, 50053
IMAGES_FOLDER = "images"
_REPOSITORY = Path(__file__).parents[2]
_HEALTH_SECONDS = 5.0


@dataclass
class Suite:
    """All servers by name, and the disks that can become full."""

    network: Network
    guard: Guard
    servers: dict[str, Server] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where clients find the gateways."""
        return f"ipv4:{self._addresses('gateway', GATEWAY_PORT)}"

    @property
    def embedders(self) -> str:
        """Where gateways find the embedders."""
        return self._addresses("embedder", EMBEDDER_PORT)

    def an_embedder(self) -> grpc.Channel:
        """Open a channel to one embedder."""
        return self.guard.channel(f"{self.machine('embedder-1').address}:{EMBEDDER_PORT}")

    def gallery(self, collection: str) -> Connect:
        """Return what connects to a collection."""
        return partial(GatewayGallery, self.address, collection, self.guard.client)

    def machines(self, kind: str) -> list[Machine]:
        """Return the machines of a kind, such as "gateway"."""
        return [machine for name, machine in self.network.machines.items() if name.startswith(kind)]

    def _addresses(self, kind: str, port: int) -> str:
        return ",".join(f"{machine.address}:{port}" for machine in self.machines(kind))

    def mount_disks(self, machines: Sequence[Machine], megabytes: int) -> None:
        """Give machines disks that can become full, unless they are to have no size."""
        self.disks |= {machine.name: machine.mount_disk(megabytes) for machine in machines if megabytes}

    def start_weaviate(self, program: Path, disk_megabytes: int) -> list[Machine]:
        """Start three nodes on machines of their own, and return these once the nodes are a cluster."""
        machines = [self.network.add(f"weaviate-{number}") for number in range(1, 4)]
        self.mount_disks(machines, disk_megabytes)
        nodes = weaviate_nodes(machines, program)
        self.servers |= {node.name: node for node in nodes}
        start_cluster(nodes)
        return machines

    def machine(self, name: str) -> Machine:
        return self.network.machines[name]

    def close(self) -> None:
        """End all servers."""
        for server in self.servers.values():
            server.close()

    def memory(self) -> int:
        """Return the sum of the highest memory of all servers, in bytes."""
        for server in self.servers.values():
            server.measure()
        return sum(server.highest_memory for server in self.servers.values())


@contextmanager
def suite(
    folder: Path,
    *,
    gateways: int = 2,
    embedders: int = 2,
    disk_megabytes: int = 0,
    weaviate: Path | None = None,
    consistency: str = "ALL",
    guard: Guard | None = None,
) -> Iterator[Suite]:
    """Start our services, and wait until they serve; end them. Given Weaviate, three nodes of it keep the vectors."""
    guard = guard or Open()
    with network(folder) as net, ExitStack() as exits:
        made = Suite(net, guard)
        # While machines are there, so that no process outlives its own.
        exits.callback(made.close)
        nodes = made.start_weaviate(weaviate, disk_megabytes) if weaviate else []
        index, images = net.add("index"), net.add("images")
        made.mount_disks((index, images), disk_megabytes)
        for kind, count in (("embedder", embedders), ("gateway", gateways)):
            for number in range(1, count + 1):
                net.add(f"{kind}-{number}")
        servers = [_index(guard, index, nodes, consistency)]
        servers += [_embedder(guard, machine) for machine in made.machines("embedder")]
        servers += [_gateway(guard, machine, made.embedders, index, images) for machine in made.machines("gateway")]
        for server in servers:
            made.servers[server.name] = server
            server.start()
        for server in servers:
            server.wait_until_ready()
        yield made


def _service(guard: Guard, machine: Machine, module: str, port: int, *flags: str, serves: str) -> Server:
    command = (
        sys.executable, "-m", module, "--log-format=json", f"--host={machine.address}", f"--port={port}",
        "--metrics-port=-1", *guard.flags, *flags,
    )  # fmt: skip
    environment = {"PYTHONPATH": f"{_REPOSITORY}:{_REPOSITORY / 'client'}"}
    return Server(machine.name, machine, command, environment, _is_serving(guard, f"{machine.address}:{port}", serves))


def _embedder(guard: Guard, machine: Machine) -> Server:
    flags = ("--default-model=tiny", f"--data={machine.folder}")
    return _service(
        guard, machine, "embedder_service", EMBEDDER_PORT, *flags, serves="semsearch.embedder.v1.EmbedderService"
    )


def _index(guard: Guard, machine: Machine, nodes: Sequence[Machine], consistency: str) -> Server:
    flags = [f"--data={machine.folder}"]
    if nodes:
        flags += [
            "--engine=weaviate",
            f"--weaviate-addresses={','.join(f'{node.address}:{HTTP_PORT}:{GRPC_PORT}' for node in nodes)}",
            f"--weaviate-replication-factor={len(nodes)}",
            f"--weaviate-consistency={consistency}",
        ]
    return _service(guard, machine, "index_service", INDEX_PORT, *flags, serves="semsearch.index.v1.IndexService")


def _gateway(guard: Guard, machine: Machine, embedders: str, index: Machine, images: Machine) -> Server:
    flags = (
        f"--embedder={embedders}", f"--index={index.address}:{INDEX_PORT}", f"--data={machine.folder}",
        f"--images={images.folder / IMAGES_FOLDER}", "--http-port=-1",
    )  # fmt: skip
    return _service(guard, machine, "gateway", GATEWAY_PORT, *flags, serves="semsearch.v1.SearchService")


def _is_serving(guard: Guard, address: str, service: str) -> Callable[[], bool]:
    def ask() -> bool:
        with guard.channel(address) as channel:
            request = health_pb2.HealthCheckRequest(service=service)
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_HEALTH_SECONDS)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return ask
