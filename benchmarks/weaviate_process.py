"""A real Weaviate of one node, as a process, for benchmarks and tests."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 90.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class WeaviateServer:
    """A running node."""

    process: subprocess.Popen[bytes]
    address: str  # host:http-port:grpc-port


@contextmanager
def weaviate_server(folder: Path, program: Path) -> Iterator[WeaviateServer]:
    """Start a node on free ports, and wait until it is ready; stop it at the end."""
    http, grpc, gossip, data, raft, raft_rpc = _free_ports(6)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **{name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")},
        "PERSISTENCE_DATA_PATH": str(folder),
        "CLUSTER_HOSTNAME": "node1",
        # A single node that is not told its address binds to another one.
        "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
        "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
        "CLUSTER_DATA_BIND_PORT": str(data),
        "RAFT_PORT": str(raft),
        "RAFT_INTERNAL_RPC_PORT": str(raft_rpc),
        "RAFT_JOIN": f"node1:{raft}",
        "RAFT_BOOTSTRAP_EXPECT": "1",
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "ENABLE_API_BASED_MODULES": "false",
        "DISABLE_TELEMETRY": "true",
        "GO_PROFILING_DISABLE": "true",
        "LOG_LEVEL": "error",
        "GRPC_PORT": str(grpc),
    }
    command = [str(program), "--host", "127.0.0.1", "--port", str(http), "--scheme", "http"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_SECONDS
        while not _is_ready(http):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Weaviate is not ready: {(folder / 'server.log').read_text()[-2_000:]}")
            time.sleep(_POLL_SECONDS)
        yield WeaviateServer(process, f"127.0.0.1:{http}:{grpc}")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_SECONDS)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _is_ready(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/v1/.well-known/ready", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False
