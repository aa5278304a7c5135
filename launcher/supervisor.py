"""Run the services as processes, wait until they serve, show their output, and stop them all.

Invariants:
- Each service leads its own session and process group. So Ctrl-C reaches only the launcher, which stops the services
  in order, and nothing that a service starts outlives it.
- `stop` returns within 5 s, and no process is left then.
- If the launcher is killed before it can call `stop`, the watchdog ends the services.

The processes are honcho's `Process`, each run by a thread. honcho's `Manager` does not fit: it waits 5 s after the
first process has ended before it kills the others, and forever if none ends; a signal before all have started raises
KeyError in its handler and leaves the started ones running; and its forks do not work with gRPC in the same process.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from honcho.printer import Message
from honcho.process import Process
from rich.console import Console
from rich.text import Text

from launcher.errors import NotReady, ServiceStopped
from launcher.services import Service
from launcher.stopping import end_groups

_COLORS = ("cyan", "yellow", "green", "magenta", "blue")
# The limit for a process to start, and for a killed one to be gone. In practice, both take milliseconds.
_STARTED_SECONDS = 2.0
_KILLED_SECONDS = 0.2
_POLL_SECONDS = 0.1
_CALL_SECONDS = 1.0
# A channel that cannot connect tries again soon; by default it would wait up to 2 min.
_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]


class Supervisor:
    """Starts services and stops them all, once. `name_width`: length of the longest name, for the output's margin."""

    def __init__(self, console: Console, name_width: int) -> None:
        self._console = console
        self._name_width = name_width
        self._running: list[_Running] = []
        self._one_ended = threading.Event()
        self._watchdog: subprocess.Popen[str] | None = None

    def start(self, services: Sequence[Service], environment: Mapping[str, str]) -> None:
        """Start services in addition to the running ones; call `stop` even if this is interrupted."""
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-m", "launcher.stopping"], stdin=subprocess.PIPE, text=True, start_new_session=True
            )
        for service in services:
            color = _COLORS[len(self._running) % len(_COLORS)]
            prefix = Text.assemble((f"{service.name:{self._name_width}} | ", color))
            running = _Running(service.name, prefix, self._console, self._watch, self._one_ended)
            process = Process(service.command, name=service.name, env=dict(environment))
            # Recorded before it starts, so that `stop` knows of every service, even after an interruption here.
            self._running.append(running)
            threading.Thread(target=running.run, args=[process], name=service.name, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait for some seconds.

        Raises:
            ServiceStopped: a service stops by itself, or has done so.
        """
        if self._one_ended.wait(seconds):
            self.wait_for_end()

    def wait_for_end(self) -> NoReturn:
        """Wait until a service stops by itself, and raise `ServiceStopped`."""
        self._one_ended.wait()
        ended = next(each for each in self._running if each.ended.is_set())
        raise ServiceStopped(ended.name, ended.returncode, ended.last_line)

    def stop(self) -> None:
        """Stop all services, and return once their last output is shown."""
        for each in self._running:
            each.started.wait(_STARTED_SECONDS)
        end_groups([each.pid for each in self._running if each.pid is not None])
        for each in self._running:
            if each.pid is not None:
                each.ended.wait(_KILLED_SECONDS)
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()

    def _watch(self, pid: int) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.write(f"{pid}\n")
            self._watchdog.stdin.flush()


class _Running:
    """A started service and its state. honcho puts its events here, from the thread of `run`."""

    def __init__(
        self,
        name: str,
        prefix: Text,
        console: Console,
        on_start: Callable[[int], None],
        one_ended: threading.Event,
    ) -> None:
        self.name = name
        self.started = threading.Event()
        self.ended = threading.Event()
        self.pid: int | None = None
        self.returncode = 127  # a shell's status for a command that cannot be started
        self.last_line = ""
        self._prefix = prefix
        self._console = console
        self._on_start = on_start
        self._one_ended = one_ended

    def run(self, process: Process) -> None:
        """Start the process and follow it to its end."""
        try:
            process.run(self)
        finally:
            self.started.set()
            self.ended.set()
            self._one_ended.set()

    def put(self, message: Message) -> None:
        """Handle one of the events "start", "line" and "stop"."""
        match message.type:
            case "start":
                self.pid = message.data["pid"]
                self.started.set()
                self._on_start(message.data["pid"])
            case "line":
                line = message.data.decode("utf-8", "replace").rstrip()
                self.last_line = line or self.last_line
                self._console.print(self._prefix + Text.from_ansi(line))
            case "stop":
                self.returncode = message.data["returncode"]


def wait_until_serving(services: Sequence[Service], supervisor: Supervisor, deadline: float) -> None:
    """Wait until every process reports SERVING for the name "", which stands for all its gRPC services.

    Raises:
        ServiceStopped: a service stops.
        NotReady: the deadline, of `time.monotonic`, has passed.
    """
    with ExitStack() as stack:
        waiting = {
            service.name: health_pb2_grpc.HealthStub(
                stack.enter_context(grpc.insecure_channel(service.address, _OPTIONS))
            )
            for service in services
        }
        while waiting:
            supervisor.wait(_POLL_SECONDS)
            waiting = {name: stub for name, stub in waiting.items() if not _serves(stub)}
            if waiting and time.monotonic() > deadline:
                raise NotReady(list(waiting))


def _serves(stub: health_pb2_grpc.HealthStub) -> bool:
    try:
        response = stub.Check(health_pb2.HealthCheckRequest(), timeout=_CALL_SECONDS)
    except grpc.RpcError:  # not listening yet
        return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)
