"""Run the services as processes, wait until they serve, restart those that end, and stop them all.

Invariants:
- Each service leads its own session and process group. So Ctrl-C reaches only the launcher, which stops the services
  in order, and nothing that a service starts outlives it.
- `stop` waits for each service as long as its own end may take, and no process is left then.
- A service that ends is started again, later each time, and the others go on. One that ends with an error before it
  served would end so again, so it ends the suite.
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
from functools import partial
from typing import NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from honcho.process import Process
from rich.text import Text

from launcher.errors import CannotStart, NotReady
from launcher.output import Output
from launcher.restarts import STEADY_SECONDS, Backoff, cannot_start, describe_end
from launcher.service_process import ServiceProcess
from launcher.services import Service
from launcher.stopping import end_groups
from serving.logs import ERROR_PREFIX
from serving.own_channel import open_own_channel
from serving.tls import CertificateError

# The limit for a process to start, and for a killed one to be gone. In practice, both take milliseconds.
_STARTED_SECONDS = 2.0
_KILLED_SECONDS = 0.2
_POLL_SECONDS = 0.1
_CALL_SECONDS = 1.0
# A channel that cannot connect tries again soon; by default it would wait up to 2 min.
_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]


def serves(service: Service) -> bool:
    """Return whether a process reports SERVING for the name "", which stands for all its gRPC services."""
    try:
        channel = open_own_channel(service.own_address, service.tls, _OPTIONS)
    except CertificateError:  # files that are being replaced
        return False
    with channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_CALL_SECONDS)
        except grpc.RpcError:  # not listening yet
            return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


class _Supervised:
    """A service, its newest process, and what was seen of it."""

    def __init__(self, service: Service, environment: Mapping[str, str], backoff: Backoff) -> None:
        self.service = service
        self.environment = dict(environment)
        self.backoff = backoff
        self.process: ServiceProcess | None = None
        self.is_restart = False
        self.serves = threading.Event()
        self.served_at = 0.0
        self.retry_at: float | None = None  # set while no process runs

    @property
    def is_settled(self) -> bool:
        """Whether only the end of its process would change anything."""
        return self.serves.is_set() and self.served_at + STEADY_SECONDS < time.monotonic()

    @property
    def complaint(self) -> str:
        """What its process complained of last, or ""."""
        return self.process.last_words.complaint if self.process else ""


class Supervisor:
    """Starts services, restarts those that end, and stops them all, once."""

    def __init__(
        self,
        output: Output,
        serves: Callable[[Service], bool] = serves,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._output = output
        self._console = output.console
        self._serves = serves
        self._backoff = backoff
        self._supervised: list[_Supervised] = []
        self._changed = threading.Event()
        self._failed = threading.Event()
        self._failure: CannotStart | None = None
        self._said: set[str] = set()  # the sentences of services that ended
        # Held while a process starts, so that none starts once `stop` has begun.
        self._starting = threading.Lock()
        self._is_stopping = False
        self._watchdog: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def start(self, services: Sequence[Service], environment: Mapping[str, str]) -> None:
        """Start services in addition to the running ones; call `stop` even if this is interrupted."""
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-m", "launcher.stopping"], stdin=subprocess.PIPE, text=True, start_new_session=True
            )
            self._thread.start()
        for service in services:
            each = _Supervised(service, environment, self._backoff())
            # Recorded before it starts, so that `stop` knows of it even after an interruption here.
            self._supervised.append(each)
            self._start_process(each)
        self._changed.set()

    def wait_until_serving(self, services: Sequence[Service], deadline: float) -> None:
        """Wait until each service, which was started, has served since.

        Raises:
            CannotStart: a service cannot start.
            NotReady: the deadline, of `time.monotonic`, has passed.
        """
        waiting = [each for each in self._supervised if each.service in services]
        while waiting := [each for each in waiting if not each.serves.is_set()]:
            self.wait(_POLL_SECONDS)
            if time.monotonic() > deadline:
                raise NotReady({each.service.name: each.complaint for each in waiting})

    def wait(self, seconds: float | None) -> None:
        """Wait for some seconds, or without a limit if None.

        Raises:
            CannotStart: a service cannot start, or could not.
        """
        if self._failed.wait(seconds) and self._failure is not None:
            raise self._failure

    def wait_for_failure(self) -> NoReturn:
        """Wait until a service cannot start, and raise `CannotStart`."""
        while True:
            self.wait(None)

    def stop(self) -> None:
        """Stop all services, and return once their last output is shown."""
        with self._starting:
            self._is_stopping = True
        self._changed.set()
        for each in self._supervised:
            if each.process is not None:
                each.process.started.wait(_STARTED_SECONDS)
        running = {each.process.pid: each for each in self._supervised if each.process and each.process.pid is not None}
        seconds = max((each.service.end_seconds for each in running.values()), default=0)

        def names(pids: Sequence[int]) -> str:
            return " and ".join(f"the {running[pid].service.name}" for pid in pids)

        def say(left: Sequence[int]) -> None:
            them = "it" if len(left) == 1 else "them"
            self._console.print(
                f"Waiting for {names(left)} to finish calls, {seconds:g} s at most. Ctrl-C ends {them} at once."
            )

        if killed := end_groups(running, seconds, say):
            they_were = "was" if len(killed) == 1 else "were"
            self._console.print(f"{names(killed).capitalize()} did not end, and {they_were} killed.")
        for each in running.values():
            if each.process is not None:
                each.process.ended.wait(_KILLED_SECONDS)
        for each in self._supervised:
            if each.process is not None and (sentence := each.process.last_words.sentence) not in {"", *self._said}:
                self._said.add(sentence)
                each.process.show(Text(ERROR_PREFIX + sentence))
        if self._thread.is_alive():
            self._thread.join(_CALL_SECONDS)
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()

    def _start_process(self, each: _Supervised) -> None:
        with self._starting:
            if self._is_stopping:
                return
            each.retry_at = None
            each.serves.clear()
            end_seconds = each.service.end_seconds
            each.process = ServiceProcess(
                partial(self._output.show, each.service.name), lambda pid: self._watch(pid, end_seconds), self._changed
            )
            each.process.start(Process(each.service.command, name=each.service.name, env=each.environment))

    def _supervise(self) -> None:
        """Follow the services until one cannot start or all are stopped; run by a thread of its own."""
        while not self._is_stopping and not self._failed.is_set():
            is_settled = all(each.is_settled for each in self._supervised)
            self._changed.wait(None if is_settled else _POLL_SECONDS)
            self._changed.clear()
            for each in list(self._supervised):
                self._follow(each)

    def _follow(self, each: _Supervised) -> None:
        if self._is_stopping or each.process is None:
            return
        if each.retry_at is not None:
            if time.monotonic() >= each.retry_at:
                self._start_process(each)
        elif each.process.ended.is_set():
            self._handle_end(each, each.process)
        elif not each.serves.is_set() and self._serves(each.service) and not each.process.ended.is_set():
            each.served_at = time.monotonic()
            each.serves.set()
            if each.is_restart:
                self._console.print(f"The {each.service.name} serves again.")

    def _handle_end(self, each: _Supervised, process: ServiceProcess) -> None:
        name, end, words = each.service.name, describe_end(process.returncode), process.last_words
        self._said.add(words.sentence)
        if process.pid is not None:
            self._watch(-process.pid)
            end_groups([process.pid], 0)  # what it started must not hold its port
        if cannot_start(process.returncode, each.serves.is_set()):
            self._failure = CannotStart(name, end, words.error or words.line)
            self._failed.set()
            return
        if each.is_settled:
            each.backoff.reset()
        seconds = each.backoff.next_seconds()
        each.is_restart = True
        each.serves.clear()
        each.retry_at = time.monotonic() + seconds
        said = f" Its error: {words.error}" if words.error else ""
        self._console.print(f"The {name} {end}.{said} The next start is in {seconds:g} s; the others go on.")

    def _watch(self, pid: int, end_seconds: float = 0) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.write(f"{pid} {end_seconds}\n")
            self._watchdog.stdin.flush()
