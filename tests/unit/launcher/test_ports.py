"""Ports are checked before anything starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.errors import PortNotFree
from launcher.ports import Port, check_ports, ports_of
from launcher.services import Service

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.create_server((HOST, 0)) as other:
        return int(other.getsockname()[1])


def index_port(number: int, host: str = HOST) -> Port:
    return Port("index", "gRPC", host, number, "SEMSEARCH_INDEX_PORT")


def test_ports_that_are_free_pass_and_are_free_again(free: int) -> None:
    check_ports(iter([index_port(free)]))
    with socket.create_server((HOST, free)):
        pass


def test_a_port_in_use_is_named_with_its_service_and_setting(taken: int) -> None:
    with pytest.raises(PortNotFree) as refused:
        check_ports(iter([index_port(taken)]))
    for part in (f"Port {taken}", "the index", "gRPC", "SEMSEARCH_INDEX_PORT"):
        assert part in str(refused.value)


def test_all_ports_in_use_are_named_in_one_message_with_their_settings(taken: int, free: int) -> None:
    with socket.create_server((HOST, 0)) as other:
        metrics = Port("gateway", "metrics", HOST, other.getsockname()[1], "SEMSEARCH_GATEWAY_METRICS_PORT")
        with pytest.raises(PortNotFree) as refused:
            check_ports(
                iter([index_port(taken), Port("gateway", "gRPC", HOST, free, "SEMSEARCH_GATEWAY_PORT"), metrics])
            )
    assert str(refused.value).splitlines()[:-1] == [
        "2 ports are in use or may not be opened:",
        f"  {taken} on {HOST} for the index (gRPC): SEMSEARCH_INDEX_PORT",
        f"  {metrics.number} on {HOST} for the gateway (metrics): SEMSEARCH_GATEWAY_METRICS_PORT",
    ]


def test_a_port_that_was_just_closed_counts_as_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        number = server.getsockname()[1]
        with socket.create_connection((HOST, number)):
            connection, _ = server.accept()
            connection.close()  # the server closes first: its side stays in TIME_WAIT
    check_ports(iter([index_port(number)]))


def test_one_port_for_two_purposes_names_both_settings(free: int) -> None:
    metrics = Port("index", "metrics", HOST, free, "SEMSEARCH_INDEX_METRICS_PORT")
    with pytest.raises(PortNotFree, match=r"SEMSEARCH_INDEX_PORT and SEMSEARCH_INDEX_METRICS_PORT are both"):
        check_ports(iter([index_port(free), metrics]))


def test_any_free_port_is_refused_because_nobody_would_know_it() -> None:
    with pytest.raises(PortNotFree, match="SEMSEARCH_INDEX_PORT is 0"):
        check_ports(iter([index_port(0)]))


@pytest.mark.parametrize("host", ["203.0.113.9", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machine_names_its_setting(host: str, free: int) -> None:
    with pytest.raises(PortNotFree, match="SEMSEARCH_HOST"):
        check_ports(iter([index_port(free, host)]))


@pytest.mark.parametrize(("metrics", "expected"), [(9053, [50053, 9053]), (-1, [50053]), (0, [50053])])
def test_metrics_are_checked_only_where_they_have_a_port(metrics: int, expected: list[int]) -> None:
    service = Service("index", "exec python -m index_service", HOST, 50053, metrics, Path("var"))
    assert [port.number for port in ports_of([service])] == expected


@pytest.mark.parametrize(("http", "expected"), [(8080, ["gRPC", "HTTP"]), (-1, ["gRPC"])])
def test_the_http_port_is_checked_unless_it_is_off(http: int, expected: list[str]) -> None:
    service = Service("gateway", "exec python -m gateway", HOST, 50051, -1, Path("var"), http_port=http)
    ports = list(ports_of([service]))
    assert [port.purpose for port in ports] == expected
    assert {port.variable for port in ports} <= {"SEMSEARCH_GATEWAY_PORT", "SEMSEARCH_GATEWAY_HTTP_PORT"}
