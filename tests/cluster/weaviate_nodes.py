"""A cluster of Weaviate: a node on each of some machines."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.network import Machine
from tests.cluster.server import START_SECONDS, Server, wait_until

HTTP_PORT = 8080
GRPC_PORT = 50051
_GOSSIP_PORT = 7946


def weaviate_nodes(machines: Sequence[Machine], program: Path) -> list[Server]:
    """Return a node for each machine, not started yet."""
    return [_node(machine, machines, program) for machine in machines]


def start_cluster(nodes: Sequence[Server]) -> None:
    """Start nodes, and wait until they are a cluster."""
    first, *others = nodes
    first.start()
    wait_until(lambda: _accepts(first.machine.address, _GOSSIP_PORT), START_SECONDS, first.last_lines)
    for node in others:
        node.start()
    for node in nodes:
        node.wait_until_ready()


def _node(machine: Machine, machines: Sequence[Machine], program: Path) -> Server:
    environment = {
        "PERSISTENCE_DATA_PATH": str(machine.folder),
        "CLUSTER_HOSTNAME": machine.name,
        "CLUSTER_ADVERTISE_ADDR": machine.address,
        # A node does not start if it reaches none of these. Itself it always reaches; the others lead back a node that
        # was away.
        "CLUSTER_JOIN": ",".join(f"{each.address}:{_GOSSIP_PORT}" for each in machines),
        "RAFT_JOIN": ",".join(each.name for each in machines),
        "RAFT_BOOTSTRAP_EXPECT": str(len(machines)),
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "ENABLE_API_BASED_MODULES": "false",
        "DISABLE_TELEMETRY": "true",
        "LOG_LEVEL": "warning",
        "GRPC_PORT": str(GRPC_PORT),
    }
    command = (str(program), "--host", machine.address, "--port", str(HTTP_PORT), "--scheme", "http")
    return Server(machine.name, machine, command, environment, lambda: _is_ready(machine.address))


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def _is_ready(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}:{HTTP_PORT}/v1/.well-known/ready", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False
