"""What the doctor says of a service: of one that is well, waits, fails in the background, is old, or is another."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_service_that_is_well_needs_nothing() -> None:
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
    assert "starts it again" in found.advice


def test_metrics_that_do_not_answer_are_no_problem(closed_port: int) -> None:
    with server([INDEX], {INDEX: SERVING}) as where:
        *_, metrics = examined(places(where.grpc.port, closed_port))
    assert metrics.state is State.NOTE
    assert "SEMSEARCH_INDEX_METRICS_PORT" in metrics.advice


def test_every_work_has_a_service_and_a_consequence() -> None:
    assert len({work.health_name for work in WORKS}) == len(WORKS)
    assert all(work.if_it_fails and "." not in work.if_it_fails for work in WORKS)
