"""A program on a machine of the network: started, killed, stopped, and started again at the same address."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.cluster.network import Machine

START_SECONDS = 600.0  # on a machine that is busy with other things
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], object], seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait until a condition is true; fail with a text after some seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, otherwise()
        time.sleep(_POLL_SECONDS)


@dataclass
class Server:
    """A program and what starts it; `is_ready` asks the running program."""

    name: str
    machine: Machine
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    highest_memory: int = 0  # bytes, over all processes that it has been
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        return self.machine.folder.with_suffix(".log")

    def start(self, command: Sequence[str] = (), environment: Mapping[str, str] = MappingProxyType({})) -> None:
        """Start the program, by another command if one is given."""
        variables = {**_inherited(), **self.environment, **environment}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.machine.command(*(command or self.command)), env=variables,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Wait until the program says that it is ready."""
        wait_until(self._is_ready, START_SECONDS, lambda: f"{self.name} is not ready:\n{self.last_lines()}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended:\n{self.last_lines()}"
        return self.is_ready()

    def wait_for_end(self, seconds: float) -> int | None:
        """Return its exit status; None if it does not end by itself within some seconds."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    def close(self) -> None:
        """End it at once if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self.measure()
        self._process.send_signal(how)
        self._process.wait(STOP_SECONDS)

    def measure(self) -> None:
        """Note the highest memory of the process so far."""
        assert self._process is not None
        with suppress(FileNotFoundError, StopIteration):
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            peak = int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024
            self.highest_memory = max(self.highest_memory, peak)

    def last_lines(self, count: int = 20) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def _inherited() -> dict[str, str]:
    """Return the variables of this process without settings, and without a proxy, which would be asked for machines."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SEMSEARCH_") and not name.lower().endswith("_proxy")
    }
