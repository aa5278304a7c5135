"""Services run side by side, their output is shown, and one that ends is reported."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from launcher.errors import ServiceStopped
from launcher.services import Service
from launcher.supervisor import Supervisor

DEADLINE_SECONDS = 20.0


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(output: io.StringIO) -> Iterator[Supervisor]:
    running = Supervisor(Console(file=output, soft_wrap=True), len("gateway"))
    yield running
    running.stop()


def service(name: str, command: str) -> Service:
    return Service(name, command, "127.0.0.1", 1, -1, Path("var"))


def test_one_that_ends_is_named_with_its_status_and_last_words(supervisor: Supervisor) -> None:
    supervisor.start(
        [service("index", "sleep 600"), service("gateway", "echo first; echo last >&2; exit 3")], os.environ
    )
    with pytest.raises(ServiceStopped) as stopped:
        supervisor.wait(DEADLINE_SECONDS)
    assert str(stopped.value) == "The gateway ended with status 3, so everything was stopped. Its last output: last"


def test_one_that_is_killed_is_named_with_the_signal(supervisor: Supervisor) -> None:
    supervisor.start([service("index", "kill -9 $$")], os.environ)
    with pytest.raises(ServiceStopped, match="The index was killed by signal 9"):
        supervisor.wait(DEADLINE_SECONDS)


def test_each_line_is_shown_behind_its_services_name(supervisor: Supervisor, output: io.StringIO) -> None:
    long = "x" * 500
    supervisor.start([service("index", f"echo {long}; printf '[red]\\377'")], os.environ)
    with pytest.raises(ServiceStopped):
        supervisor.wait(DEADLINE_SECONDS)
    assert output.getvalue() == f"index   | {long}\nindex   | [red]\N{REPLACEMENT CHARACTER}\n"


def test_nothing_ends_while_all_run(supervisor: Supervisor) -> None:
    supervisor.start([service("index", "sleep 600")], os.environ)
    supervisor.wait(0)


def test_the_last_words_at_a_stop_are_shown(supervisor: Supervisor, output: io.StringIO, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = f"trap 'echo goodbye; exit 0' TERM; : > {ready}; while :; do sleep 0.05; done"
    supervisor.start([service("index", script)], os.environ)
    ready.read_bytes()  # returns once the script has its trap
    supervisor.stop()
    assert "index   | goodbye\n" in output.getvalue()


def test_a_service_that_hangs_is_gone_within_five_seconds(supervisor: Supervisor, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = f"trap '' TERM; echo $$ > {ready}; while :; do sleep 0.05; done"
    supervisor.start([service("index", script), service("gateway", "exec sleep 600")], os.environ)
    pid = int(ready.read_text())
    started = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - started < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_stop_before_anything_was_started_does_nothing(supervisor: Supervisor) -> None:
    supervisor.stop()
