"""What the doctor reports about a service: healthy, waiting, failing in the background, too old, or another program."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from semsearch.doctor import services
from semsearch.doctor.background_work import WORKS
from semsearch.doctor.findings import Finding, State
from semsearch.doctor.places import Place, ServicePlaces
from semsearch.index.v1 import index_service_pb2

ROOT = Path(__file__).parents[4]
INDEX = "semsearch.index.v1.IndexService"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def server(names: list[str], healths: dict[str, Any], pool: Any = None) -> Iterator[ServicePlaces]:
    """Serve health and reflection, as a service with these names does."""
    with ThreadPoolExecutor(2) as threads:
        running = grpc.server(threads)
        reporting = health.HealthServicer()
        for name, status in healths.items():
            reporting.set(name, status)
        health_pb2_grpc.add_HealthServicer_to_server(reporting, running)
        reflection.enable_server_reflection(names, running, pool=pool)
        port = running.add_insecure_port("127.0.0.1:0")
        running.start()
        try:
            yield places(port)
        finally:
            running.stop(None).wait()


def places(port: int, metrics: int = -1) -> ServicePlaces:
    others = (Place("index", "metrics", "127.0.0.1", metrics, "SEMSEARCH_INDEX_METRICS_PORT"),) if metrics > 0 else ()
    return ServicePlaces("index", Place("index", "gRPC", "127.0.0.1", port, "SEMSEARCH_INDEX_PORT"), others)


def examined(where: ServicePlaces, *, suite_runs: bool = False) -> list[Finding]:
    return list(services.examine_service(where, suite_runs=suite_runs))


@pytest.fixture(autouse=True)
def proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a proxy that nothing here may use."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_grpc_proxy", "127.0.0.1")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_healthy_service_needs_no_action() -> None:
    with server([INDEX], {INDEX: SERVING, f"{INDEX}/merging": SERVING}) as where:
        found = examined(where)
    assert [each.state for each in found] == [State.OK, State.OK]
    assert found[0].text == f"{where.grpc.address} serves IndexService"
    assert found[1].text == "merging"


def test_a_service_that_waits_and_work_that_fails_are_problems() -> None:
    with server([INDEX], {INDEX: NOT_SERVING, f"{INDEX}/merging": NOT_SERVING}) as where:
        waiting, merging = examined(where)
    assert (waiting.state, merging.state) == (State.PROBLEM, State.PROBLEM)
    assert "not ready: IndexService" in waiting.text
    assert merging.part == "index: merging"
    assert "slower" in merging.text
    assert "log of the index" in merging.advice


def test_a_server_without_an_rpc_that_the_client_calls_is_older() -> None:
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto()
    index_service_pb2.DESCRIPTOR.CopyToProto(file)
    dependencies = list(index_service_pb2.DESCRIPTOR.dependencies)
    for each in dependencies:  # what they import too, before them
        add(pool, each)
    (service,) = file.service
    del service.method[:]
    pool.Add(file)
    with server([INDEX], {INDEX: SERVING}, pool) as where:
        found = [each for each in examined(where) if each.state is State.PROBLEM]
    assert len(found) == 1
    assert "older than this client: it lacks semsearch.index.v1.IndexService/CheckIndex and" in found[0].text


def add(pool: Any, file: Any) -> None:
    for each in file.dependencies:
        add(pool, each)
    pool.AddSerializedFile(file.serialized_pb)


def test_another_grpc_server_is_not_taken_for_the_service() -> None:
    with server(["semsearch.v1.SearchService"], {"": SERVING}) as where:
        (found,) = examined(where)
    assert found.state is State.PROBLEM
    assert "not the index" in found.text
    assert "SEMSEARCH_INDEX_PORT" in found.advice


def test_a_program_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_CALL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (found,) = examined(places(silent.getsockname()[1]))
    assert found.state is State.PROBLEM
    assert f"(process {os.getpid()})" in found.text


def test_a_stopped_service_names_the_program_that_has_its_port(closed_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stopped, metrics = examined(places(closed_port, taken.getsockname()[1]))
    assert stopped.text == f"nothing listens at 127.0.0.1:{closed_port}"
    assert "make run-all" in stopped.advice
    assert f"(process {os.getpid()})" in metrics.text
    assert "SEMSEARCH_INDEX_METRICS_PORT" in metrics.advice


def test_a_service_of_a_running_suite_is_being_started(closed_port: int) -> None:
    (found,) = examined(places(closed_port), suite_runs=True)
    assert "restarting it after a crash" in found.advice


def test_metrics_that_do_not_answer_are_no_problem(closed_port: int) -> None:
    with server([INDEX], {INDEX: SERVING}) as where:
        *_, metrics = examined(places(where.grpc.port, closed_port))
    assert metrics.state is State.NOTE
    assert "SEMSEARCH_INDEX_METRICS_PORT" in metrics.advice


@pytest.mark.parametrize(
    ("paths", "state", "shown"),
    [
        ({"/healthz": 200, "/": 200}, State.OK, "http://"),
        ({"/healthz": 200}, State.NOTE, "no web page"),
        ({"/": 200}, State.NOTE, "answers 404"),
    ],
)
def test_the_http_port_of_the_gateway_and_its_page(paths: dict[str, int], state: State, shown: str) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(paths.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        place = Place("gateway", "HTTP", "127.0.0.1", running.server_port, "SEMSEARCH_GATEWAY_HTTP_PORT")
        with server([INDEX], {INDEX: SERVING}) as where:
            *_, found = examined(replace(where, others=(place,)))
        running.shutdown()
    assert found.state is state
    assert shown in found.text


def test_all_background_work_of_the_services_is_known() -> None:
    named = {
        name
        for package in ("gateway", "embedder_service", "index_service")
        for file in (ROOT / package).rglob("*.py")
        for name in re.findall(r'WorkHealth\("([a-z-]+)"\)', file.read_text(encoding="utf-8"))
    }
    assert named == {work.name for work in WORKS}


def test_every_work_has_a_service_and_a_consequence() -> None:
    assert len({work.health_name for work in WORKS}) == len(WORKS)
    assert all(work.if_it_fails and "." not in work.if_it_fails for work in WORKS)
