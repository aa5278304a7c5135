"""Peers that attack a real service over HTTP/2: it stays healthy, its memory stays small, and others are answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from tests.services.hostile_peer import hostile_peer
from tests.services.service_process import ServiceProcess, service_process

SECONDS = 60.0
GET = "/semsearch.index.v1.IndexService/GetIndex"
MOST_MESSAGE = 4 * 2**20
# What an attack may leave behind, and what the compressed message may take for a moment.
MOST_GROWTH = 100 * 2**20


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    data = tmp_path_factory.mktemp("data")
    with service_process("index_service", data, f"--max-message-bytes={MOST_MESSAGE}") as running:
        yield running


@pytest.fixture(autouse=True)
def unharmed(service: ServiceProcess) -> Iterator[None]:
    """After each attack the service answers others, and has about as much memory as before."""
    before = memory(service)
    yield
    with grpc.insecure_channel(service.address) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        pb_grpc.IndexServiceStub(channel).ListIndexes(pb.ListIndexesRequest(), timeout=SECONDS)
    assert memory(service) - before < MOST_GROWTH
    assert not [line for line in service.lines if '"level": "error"' in line]


def memory(service: ServiceProcess) -> int:
    """Return the resident bytes of a service."""
    pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4_096


def test_calls_that_are_cancelled_at_once_do_not_pile_up(service: ServiceProcess) -> None:
    with hostile_peer(service.address) as peer:
        peer.reset_at_once(GET, 5_000)


def test_settings_and_pings_without_end_do_not_pile_up(service: ServiceProcess) -> None:
    with hostile_peer(service.address) as peer:
        peer.send_settings(3_000)


@pytest.mark.parametrize("size", [200_000, 2_000_000])
def test_huge_metadata_is_refused(service: ServiceProcess, size: int) -> None:
    metadata = [("x", "y" * size)]
    with grpc.insecure_channel(service.address) as channel, pytest.raises(grpc.RpcError) as raised:
        pb_grpc.IndexServiceStub(channel).ListIndexes(pb.ListIndexesRequest(), timeout=SECONDS, metadata=metadata)
    assert raised.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)


def test_a_message_that_unpacks_to_too_much_is_refused(service: ServiceProcess) -> None:
    bomb = pb.GetIndexRequest(name="x" * (40 * 2**20))
    with (
        grpc.insecure_channel(service.address, compression=grpc.Compression.Gzip) as channel,
        pytest.raises(grpc.RpcError) as raised,
    ):
        pb_grpc.IndexServiceStub(channel).GetIndex(bomb, timeout=SECONDS)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
    ],
    ids=["HTTP/1.1", "TLS", "frames of noise"],
)
def test_a_connection_that_does_not_speak_http_2_is_closed(service: ServiceProcess, opening: bytes) -> None:
    host, _, port = service.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(opening)
        try:
            while connection.recv(65_536):
                pass
        except ConnectionError:
            pass


def test_calls_that_never_end_do_not_keep_others_out(service: ServiceProcess) -> None:
    with hostile_peer(service.address) as peer:
        for _ in range(100):
            peer.begin(GET)
        with grpc.insecure_channel(service.address) as channel:
            pb_grpc.IndexServiceStub(channel).ListIndexes(pb.ListIndexesRequest(), timeout=SECONDS)
