"""Quotas, limits and live settings of real services: an index, and a gateway in front of it."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from semsearch.v1 import gallery_service_pb2, gallery_service_pb2_grpc
from semsearch.v1 import limits_service_pb2 as pb
from semsearch.v1 import limits_service_pb2_grpc as pb_grpc

from tests.services.index_process import index_process
from tests.services.service_process import Refusal, ServiceProcess, service_process

DEADLINE = 60.0
HTTP = "/semsearch.v1.LimitsService/GetLimits"


@dataclass(frozen=True)
class Suite:
    gateway: ServiceProcess
    live: Path
    gallery: gallery_service_pb2_grpc.GalleryServiceStub
    limits: pb_grpc.LimitsServiceStub

    @property
    def http(self) -> str:
        ready = next(json.loads(line) for line in self.gateway.lines if '"event": "ready"' in line)
        return str(ready["http_address"])

    def ask(self) -> pb.GetLimitsResponse:
        return self.limits.GetLimits(pb.GetLimitsRequest(), timeout=DEADLINE)

    def read(self) -> None:
        """Make a call that counts as a read; that there is no such collection does not matter."""
        try:
            self.gallery.GetCollection(gallery_service_pb2.GetCollectionRequest(collection_id="a"), timeout=DEADLINE)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                raise


@pytest.fixture(scope="module")  # two processes take some seconds to start
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    folder = tmp_path_factory.mktemp("limits")
    live = folder / "live.toml"
    live.write_text("")
    with ExitStack() as stack:
        index = stack.enter_context(index_process(folder, f"--live-settings={live}"))
        gateway = stack.enter_context(
            service_process(
                "gateway",
                folder,
                f"--index={index.address}",
                "--embedder=127.0.0.1:1",
                f"--live-settings={live}",
                "--max-connections=2",
                "--http-max-connections-per-address=2",
            )
        )
        channel = stack.enter_context(grpc.insecure_channel(gateway.address))
        yield Suite(
            gateway,
            live,
            gallery_service_pb2_grpc.GalleryServiceStub(channel),
            pb_grpc.LimitsServiceStub(channel),
        )


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end


def test_the_limits_are_those_of_all_services_that_answer(suite: Suite) -> None:
    limits = {(limit.service, limit.name, limit.unit): limit for limit in suite.ask().limits}
    assert limits["gateway", "gRPC connections", "at a time"].most == 2
    assert limits["gateway", "gRPC connections", "at a time"].setting == "SEMSEARCH_GATEWAY_MAX_CONNECTIONS"
    assert limits["index", "semsearch.v1.Filter", "levels"].most == 8
    assert {service for service, _, _ in limits} == {"gateway", "index"}


def test_quotas_and_the_log_level_change_while_the_gateway_runs(suite: Suite) -> None:
    suite.read()
    assert [quota.per_day for quota in suite.ask().quotas] == [0, 0, 0]
    suite.live.write_text('log_level = "debug"\n[gateway]\nread_quota = "1000/day"\nmax_calls_per_caller = 7')
    until(lambda: suite.ask().max_calls == 7)
    for _ in range(3):
        suite.read()
    answer = suite.ask()
    assert (answer.caller, answer.quotas[0].kind, answer.quotas[0].used_today) == ("127.0.0.1", "read", 3)
    until(lambda: any('"level": "debug"' in line for line in suite.gateway.lines))

    suite.live.write_text('[gateway]\nread_quota = "3/day"')
    until(lambda: suite.ask().quotas[0].per_day == 3)
    with pytest.raises(grpc.RpcError) as refused:
        suite.read()
    refusal = Refusal.of(refused.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_USED_UP")
    with pytest.raises(urllib.error.HTTPError) as over_http:
        post(suite.http, "/semsearch.v1.GalleryService/GetCollection", {"collectionId": "a"})
    with over_http.value as answered:
        assert answered.status == 429
        details = json.loads(answered.read())["details"]
    assert [detail["type"] for detail in details] == [
        "google.rpc.ErrorInfo",
        "google.rpc.QuotaFailure",
        "google.rpc.RetryInfo",
    ]

    suite.live.write_text("[gateway]\nhttp_max_connections_per_address = 5\n[index]\nmax_pending_bytes = 7")
    own = {("index", "items being written", 7), ("gateway", "HTTP connections of an address", 5)}
    until(lambda: own <= {(limit.service, limit.name, limit.most) for limit in suite.ask().limits})

    suite.live.write_text('[gateway]\nread_quota = "sometimes"')
    until(lambda: any("live settings are wrong" in line for line in suite.gateway.lines))

    def connections() -> float:
        [most] = [limit.most for limit in suite.ask().limits if limit.name == "HTTP connections of an address"]
        return most

    assert connections() == 5
    suite.live.write_text("")
    until(lambda: connections() == 2)
    suite.read()


def test_a_deletion_that_is_refused_for_its_length_does_not_use_up_the_day(suite: Suite) -> None:
    suite.live.write_text('[gateway]\nwrite_quota = "2000/day"')
    until(lambda: suite.ask().quotas[1].per_day == 2_000)
    with pytest.raises(grpc.RpcError) as refused:
        suite.gallery.DeleteImages(gallery_service_pb2.DeleteImagesRequest(ids=["a"] * 150_000), timeout=DEADLINE)
    assert Refusal.of(refused.value).code is grpc.StatusCode.INVALID_ARGUMENT
    assert suite.ask().quotas[1].used_today == 1_000
    suite.live.write_text("")
    until(lambda: suite.ask().quotas[1].per_day == 0)


def test_grpc_connections_beyond_the_limit_are_closed_and_the_others_go_on(suite: Suite) -> None:
    suite.ask()
    host, _, port = suite.gateway.address.rpartition(":")
    with socket.create_connection((host, int(port))):
        # One that is too many is closed before it gets gRPC's settings.
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as refused:
            assert closed(refused)
        suite.ask()


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_http_connections_of_an_address_are_limited(suite: Suite) -> None:
    host, _, port = suite.http.rpartition(":")
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(suite.http, HTTP, {})
        with refused.value as answered:
            assert (answered.status, answered.headers["Retry-After"]) == (429, "1")

    def is_answered() -> bool:
        try:
            return bool(post(suite.http, HTTP, {})["limits"])
        except urllib.error.HTTPError as error:
            error.close()
            return False

    until(is_answered)


def post(address: str, path: str, document: object) -> dict[str, object]:
    request = urllib.request.Request(
        f"http://{address}{path}", json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        answered: dict[str, object] = json.loads(response.read())
        return answered
