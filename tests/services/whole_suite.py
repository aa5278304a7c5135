"""A whole suite of real processes on fixed ports, each of which can be killed and started again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.ports import free_ports
from tests.services.service_process import environment

START_SECONDS = 180.0
STOP_SECONDS = 30.0
_MODULES = {"index": "index_service", "embedder": "embedder_service", "gateway": "gateway"}


class WholeSuite:
    """The three services, with the model in a bundle's folder."""

    def __init__(
        self,
        data: Path,
        backups: Path,
        bundle: Path,
        flags: Sequence[str] = (),
        metrics_ports: Sequence[int] = (-1, -1, -1),
    ) -> None:
        """Prepare a suite; `flags` are for all services, `metrics_ports` those of gateway, embedder and index."""
        self._data = data
        self._common = flags
        gateway_metrics, embedder_metrics, index_metrics = metrics_ports
        index, embedder, gateway = free_ports(3)
        self.address = f"127.0.0.1:{gateway}"
        self._flags = {
            "index": [f"--port={index}", f"--metrics-port={index_metrics}"],
            "embedder": [
                f"--port={embedder}",
                f"--metrics-port={embedder_metrics}",
                f"--default-model={bundle}",
            ],
            "gateway": [
                f"--port={gateway}",
                f"--metrics-port={gateway_metrics}",
                "--http-port=-1",
                f"--index=127.0.0.1:{index}",
                f"--embedder=127.0.0.1:{embedder}",
                f"--backups={backups}",
            ],
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_all(self) -> None:
        """Start all services, and wait until the gateway serves."""
        for name in _MODULES:
            self.start(name)
        self.wait_until_serving()

    def start(self, name: str) -> None:
        """Start a service; do not wait for it."""
        self._data.mkdir(parents=True, exist_ok=True)
        with (self._data / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", _MODULES[name], *self._common, *self._flags[name]],
                env=environment(self._data),
                stdout=log,
                stderr=log,
            )

    def wait_until_serving(self) -> None:
        """Wait until the gateway has started and serves."""
        with grpc.insecure_channel(self.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=START_SECONDS, wait_for_ready=True
            )
            assert any(response.status == health_pb2.HealthCheckResponse.SERVING for response in watch)

    def kill_and_start(self, name: str) -> None:
        """Kill a service with SIGKILL, and start it again."""
        self._running[name].kill()
        self._running[name].wait(STOP_SECONDS)
        self.start(name)

    def stop(self) -> None:
        """Stop all services."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(STOP_SECONDS)


@contextmanager
def whole_suite(data: Path, backups: Path, bundle: Path) -> Iterator[WholeSuite]:
    """Start a suite and wait until it serves; stop it at the end."""
    suite = WholeSuite(data, backups, bundle)
    try:
        suite.start_all()
        yield suite
    finally:
        suite.stop()
