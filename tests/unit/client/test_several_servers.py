"""A client with the addresses of several gateways, some of which are away or cannot serve."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

import pytest
from semsearch import Client, Retries, ServerUnreachable
from semsearch.transport import server

from tests.ports import free_ports, silent_port
from tests.unit.client.scripted_server import KINDS, SECONDS, UNAVAILABLE, ScriptedServer, ask, running

CALLS = 20
SOME_ATTEMPTS_SECONDS = 0.3


@dataclass(frozen=True)
class Servers:
    well: ScriptedServer
    ill: ScriptedServer
    address: str


@pytest.fixture
def both() -> Iterator[Servers]:
    well, ill = ScriptedServer(), ScriptedServer()
    ill.will("GetModel", *[UNAVAILABLE] * 1_000)
    with running(well) as one, running(ill) as other:
        yield Servers(well, ill, f"ipv4:{other},{one}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_is_repeated_at_another_server(kind: str, both: Servers) -> None:
    retries = Retries(attempts=3, first_delay=0.001)
    for _ in range(4):
        ask(kind, both.address, lambda client: client.get_model(), retries=retries)
    assert both.well.calls == ["GetModel"] * 4


def test_a_server_that_fails_most_calls_is_left_out_for_a_while(both: Servers) -> None:
    with Client(both.address, retries=Retries(attempts=3, first_delay=0.001)) as client:
        until = time.monotonic() + SECONDS
        answered = 0
        while answered < CALLS:
            assert time.monotonic() < until
            before = len(both.ill.calls)
            try:
                client.get_model()
            except Exception:  # noqa: BLE001 — the budget of retries may be used up before it is left out
                answered = 0
            answered = answered + 1 if len(both.ill.calls) == before else 0


def test_all_calls_wait_for_servers_that_are_started_again() -> None:
    """As in a rolling restart: the last server ends before the client has found that the first one is back."""
    first, last = (f"127.0.0.1:{port}" for port in free_ports(2))
    retries = Retries(attempts=1_000, first_delay=0.01, longest_delay=0.1)
    with Client(f"ipv4:{first},{last}", retries=retries) as client, ThreadPoolExecutor(CALLS) as pool:
        with running(ScriptedServer(), address=last):
            client.get_model()
        calls = [pool.submit(client.get_model) for _ in range(CALLS)]
        failed, _ = wait(calls, SOME_ATTEMPTS_SECONDS, FIRST_EXCEPTION)
        with running(ScriptedServer(), address=first):
            for call in calls:
                call.result(SECONDS)
        assert not failed


def test_a_server_that_does_not_answer_at_all_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC itself waits 20 s for a connection."""
    monkeypatch.setattr(server, "_CONNECT_SECONDS", 0.1)
    with silent_port() as port, Client(f"127.0.0.1:{port}", timeout=15.0) as client, pytest.raises(ServerUnreachable):
        client.get_model()
