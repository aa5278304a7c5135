"""The command that asks for a container's health."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving import health_check
from serving.tls_servers import server_credentials
from tests.ports import free_ports
from tests.unit.serving.certified import Certified

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def served(status: int, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    servicer = health.HealthServicer()
    servicer.set("", status)
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = (
        server.add_secure_port("127.0.0.1:0", credentials) if credentials else server.add_insecure_port("127.0.0.1:0")
    )
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture
def free() -> str:
    """An address at which nothing listens."""
    return f"127.0.0.1:{free_ports(1).start}"


def test_healthy_if_what_listens_is_serving(free: str, capsys: pytest.CaptureFixture[str]) -> None:
    with served(SERVING) as address:
        assert health_check.main([free, address]) == 0
    assert capsys.readouterr().out == f"{free}: nothing listens\n{address}: SERVING\n"


def test_an_encrypted_service_is_asked_with_its_own_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified = Certified(tmp_path)
    certified.folder.add("server", ["photos.example"], overwrite=True)  # and not for 127.0.0.1
    with served(SERVING, server_credentials(certified.files(), wants_certificates=True)) as address:
        assert health_check.main([address]) == 1
        for name, file in (("CERT", "server.crt"), ("KEY", "server.key"), ("CA", "ca.crt")):
            monkeypatch.setenv(f"SEMSEARCH_TLS_{name}", str(certified.file(file)))
        assert health_check.main([address]) == 0


def test_ill_if_one_is_not_serving(free: str) -> None:
    with served(SERVING) as well, served(NOT_SERVING) as ill:
        assert health_check.main([well, ill]) == 1


def test_ill_if_nothing_listens(free: str) -> None:
    assert health_check.main([free]) == 1


def test_ill_if_a_service_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_check, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert health_check.main([f"127.0.0.1:{port}"]) == 1
