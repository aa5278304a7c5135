"""A service that does not answer is logged once, not at each call."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from gateway.backends.rpc_errors import calls_to
from gateway.errors import DependencyUnavailable


def fail(service: str, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
    with pytest.raises(DependencyUnavailable), calls_to(service):
        raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "certificate verify failed")


def succeed(service: str) -> None:
    with calls_to(service):
        pass


def test_a_failure_is_logged_when_it_begins_changes_and_ends() -> None:
    with capture_logs() as logs:
        for _ in range(3):
            fail("index")
        for _ in range(2):
            fail("index", grpc.StatusCode.CANCELLED)
        for _ in range(2):
            succeed("index")
        fail("index")
        succeed("index")
    assert [(each["event"], each.get("code", "")) for each in logs] == [
        ("call failed", "UNAVAILABLE"),
        ("call failed", "CANCELLED"),
        ("calls succeed again", ""),
        ("call failed", "UNAVAILABLE"),
        ("calls succeed again", ""),
    ]


def test_each_service_has_its_own_failures() -> None:
    with capture_logs() as logs:
        fail("index")
        fail("embedder")
        succeed("index")
        fail("embedder")
        succeed("embedder")
    assert [each["service"] for each in logs] == ["index", "embedder", "index", "embedder"]
