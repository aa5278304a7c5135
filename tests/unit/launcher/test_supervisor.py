"""Services run side by side, their output is shown, and one that ends is started again or ends the suite."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from launcher.errors import CannotStart, NotReady
from launcher.output import Output
from launcher.restarts import Backoff
from launcher.services import Service
from launcher.supervisor import Supervisor
from serving.shutdown import CLOSING_SECONDS

DEADLINE_SECONDS = 20.0
Build = Callable[..., Supervisor]


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def build(output: io.StringIO) -> Iterator[Build]:
    """Build supervisors that are stopped at the end; `delay` is that of the first restart."""
    built: list[Supervisor] = []

    def build(serves: Callable[[Service], bool] = lambda _: True, delay: float = 0.01) -> Supervisor:
        shown = Output(Console(file=output, soft_wrap=True, highlight=False))
        shown.name("index", "gateway")
        built.append(Supervisor(shown, serves, lambda: Backoff(delay, DEADLINE_SECONDS * 60)))
        return built[-1]

    yield build
    for supervisor in built:
        supervisor.stop()


def service(name: str, command: str, drain_seconds: float = 0.0) -> Service:
    return Service(name, command, "127.0.0.1", 1, -1, Path("var"), drain_seconds=drain_seconds)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_that_cannot_start_ends_the_suite_with_its_own_error(build: Build) -> None:
    supervisor = build(serves=lambda _: False)
    failing = service("gateway", "echo 'error: No disk.'; echo 'Warning: old' >&2; exit 3")
    supervisor.start([service("index", "sleep 600"), failing], os.environ)
    with pytest.raises(CannotStart) as stopped:
        supervisor.wait(DEADLINE_SECONDS)
    assert str(stopped.value) == (
        "The gateway cannot start: it ended with status 3, so everything was stopped. No disk."
    )


def test_an_error_that_ends_the_suite_is_shown_in_its_sentence_only(build: Build, output: io.StringIO) -> None:
    supervisor = build(serves=lambda _: False)
    script = "echo 'error: The audit log cannot be written.' >&2; exit 1"
    supervisor.start([service("index", script), service("gateway", script)], os.environ)
    with pytest.raises(CannotStart, match="The audit log cannot be written"):
        supervisor.wait(DEADLINE_SECONDS)
    supervisor.stop()
    assert output.getvalue() == ""


def test_another_error_at_the_same_time_is_shown_too(build: Build, output: io.StringIO, tmp_path: Path) -> None:
    supervisor = build(serves=lambda _: False)
    script = "trap 'echo \"error: The store is damaged.\"; exit 1' TERM; : > {}; while :; do sleep 0.05; done"
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    supervisor.start([service("index", script.format(ready))], os.environ)
    ready.read_bytes()  # returns once the script has its trap
    supervisor.start([service("gateway", "echo 'error: No disk.'; exit 1")], os.environ)
    with pytest.raises(CannotStart, match="No disk"):
        supervisor.wait(DEADLINE_SECONDS)
    supervisor.stop()
    assert "index   | error: The store is damaged.\n" in output.getvalue()
    assert "No disk" not in output.getvalue()


def test_one_that_is_killed_starts_again_later_each_time_while_the_others_go_on(
    build: Build, output: io.StringIO, tmp_path: Path
) -> None:
    starts, pid = tmp_path / "starts", tmp_path / "pid"
    script = f"echo x >> {starts}; [ $(wc -l < {starts}) -lt 3 ] && kill -9 $$; echo $$ > {pid}; exec sleep 600"
    index = service("index", script)
    gateway = service("gateway", f"echo x >> {tmp_path}/gateway; exec sleep 600")
    supervisor = build(lambda each: (pid if each is index else tmp_path / "gateway").exists())
    supervisor.start([index, gateway], os.environ)
    supervisor.wait_until_serving([index, gateway], time.monotonic() + DEADLINE_SECONDS)
    killed = int(pid.read_text())
    pid.unlink()
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: output.getvalue().count("serves again") == 2)
    supervisor.wait(0)
    end, rest = "The index was killed by signal 9 (SIGKILL). The next start is in", "s; the others go on."
    assert output.getvalue().splitlines() == [
        f"{end} 0.01 {rest}",
        f"{end} 0.02 {rest}",
        "The index serves again.",
        f"{end} 0.04 {rest}",
        "The index serves again.",
    ]
    assert (tmp_path / "gateway").read_text() == "x\n"


def test_an_error_after_it_served_is_shown_and_it_starts_again(
    build: Build, output: io.StringIO, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    os.mkfifo(end)
    supervisor = build(delay=600)
    index = service("index", f"read line < {end}; echo 'error: The disk is full.'; exit 1")
    supervisor.start([index], os.environ)
    supervisor.wait_until_serving([index], time.monotonic() + DEADLINE_SECONDS)
    end.write_text("now\n")
    wait_for(lambda: "next start" in output.getvalue())
    assert "The index ended with status 1. Its error: The disk is full. The next start is in 600 s" in output.getvalue()


def test_a_stop_does_not_start_a_service_that_waits_for_its_restart(
    build: Build, output: io.StringIO, tmp_path: Path
) -> None:
    supervisor = build(delay=600)
    supervisor.start([service("index", f"echo x >> {tmp_path}/starts; kill -9 $$")], os.environ)
    wait_for(lambda: "next start" in output.getvalue())
    supervisor.stop()
    assert (tmp_path / "starts").read_text() == "x\n"


def test_one_that_does_not_serve_in_time_is_named(build: Build) -> None:
    supervisor = build(lambda _: False)
    index = service("index", "exec sleep 600")
    supervisor.start([index], os.environ)
    with pytest.raises(NotReady, match="index"):
        supervisor.wait_until_serving([index], time.monotonic())


def test_one_that_does_not_serve_in_time_is_quoted(build: Build, output: io.StringIO) -> None:
    supervisor = build(lambda _: False)
    index = service("index", "echo '2026-01-01T00:00:00Z [warning  ] call failed  code=UNAVAILABLE'; exec sleep 600")
    supervisor.start([index], os.environ)
    wait_for(lambda: "call failed" in output.getvalue())
    with pytest.raises(NotReady, match=r"The index said: .*call failed  code=UNAVAILABLE"):
        supervisor.wait_until_serving([index], time.monotonic())


def test_each_line_is_shown_behind_its_services_name(build: Build, output: io.StringIO) -> None:
    long = "x" * 500
    supervisor = build(lambda _: False)
    supervisor.start([service("index", f"echo {long}; printf '[red]\\377'; exit 1")], os.environ)
    with pytest.raises(CannotStart):
        supervisor.wait(DEADLINE_SECONDS)
    assert output.getvalue() == f"index   | {long}\nindex   | [red]\N{REPLACEMENT CHARACTER}\n"


def test_what_grpc_repeats_is_shown_once(build: Build, output: io.StringIO) -> None:
    supervisor = build(lambda _: False)
    line = "E0000 00:00:17%s.1 12 ssl.cc:1884] Handshake failed: certificate has expired\\n"
    script = f"for i in 1 2 3; do printf '{line}' $i; done; printf 'twice\\ntwice\\n'; exit 1"
    supervisor.start([service("index", script)], os.environ)
    with pytest.raises(CannotStart):
        supervisor.wait(DEADLINE_SECONDS)
    assert (output.getvalue().count("has expired"), output.getvalue().count("twice")) == (1, 2)


def test_nothing_ends_while_all_run(build: Build) -> None:
    supervisor = build()
    supervisor.start([service("index", "sleep 600")], os.environ)
    supervisor.wait(0)


def test_the_last_words_at_a_stop_are_shown(build: Build, output: io.StringIO, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = f"trap 'echo goodbye; exit 0' TERM; : > {ready}; while :; do sleep 0.05; done"
    supervisor = build()
    supervisor.start([service("index", script)], os.environ)
    ready.read_bytes()  # returns once the script has its trap
    supervisor.stop()
    assert "index   | goodbye\n" in output.getvalue()


def test_a_stop_waits_for_a_service_as_long_as_it_may_take_and_says_so(
    build: Build, output: io.StringIO, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    os.mkfifo(end)
    supervisor = build()
    calls = f"trap 'read line < {end}; echo finished; exit' TERM; echo started; while :; do sleep 0.05; done"
    idle = "trap exit TERM; echo started; while :; do sleep 0.05; done"
    supervisor.start([service("gateway", calls, 50), service("index", idle)], os.environ)
    wait_for(lambda: output.getvalue().count("started") == 2)
    stopping = threading.Thread(target=supervisor.stop)
    stopping.start()
    wait_for(lambda: "Waiting" in output.getvalue())
    assert "Waiting for the gateway to finish calls, 66 s at most. Ctrl-C ends it at once." in output.getvalue()
    end.write_text("now\n")
    stopping.join(DEADLINE_SECONDS)
    assert output.getvalue().splitlines()[-1] == "gateway | finished"


def test_a_service_that_hangs_is_killed_and_named_when_its_time_is_over(
    build: Build, output: io.StringIO, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = f"trap '' TERM; echo $$ > {ready}; while :; do sleep 0.05; done"
    supervisor = build()
    no_time = -CLOSING_SECONDS
    services = [service("index", script, no_time), service("gateway", "exec sleep 600", no_time)]
    supervisor.start(services, os.environ)
    pid = int(ready.read_text())
    supervisor.stop()
    assert "The index did not end, and was killed." in output.getvalue()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_stop_before_anything_was_started_does_nothing(build: Build) -> None:
    build().stop()
