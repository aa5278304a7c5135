"""Runs a real service as a process over a data folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_READY = re.compile(r'"address": "([^"]+)".*"event": "ready"|"event": "ready".*"address": "([^"]+)"')
_READY_SECONDS = 600.0
_STOP_SECONDS = 120.0


@dataclass(frozen=True)
class Running:
    """A running service that is ready."""

    process_id: int
    address: str

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far by the process and its exited children (Linux)."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def processor_seconds(services: Mapping[str, Sequence[Running]]) -> dict[str, float]:
    """Return the CPU time used so far by the processes of each service."""
    return {name: sum(each.cpu_seconds() for each in processes) for name, processes in services.items()}


@contextmanager
def running(module: str, data: Path, *flags: str, log_name: str | None = None, niceness: int = 0) -> Iterator[Running]:
    """Start a service on a data folder, wait until it is ready, and stop it at the end; keep its log in the folder.

    Its priority is lower by `niceness`.

    Raises:
        RuntimeError: the service exited before it was ready.
    """
    data.mkdir(parents=True, exist_ok=True)
    log = data / f"{log_name or module}.log"
    own = {name: text for name, text in os.environ.items() if not name.startswith("SEMSEARCH_")}
    http = ["--http-port=-1"] if module == "gateway" else []
    process = ["nice", f"-n{niceness}", sys.executable, "-m", module]
    command = [*process, "--port=0", "--metrics-port=-1", "--log-format=json", *http, *flags]
    with log.open("w") as written:
        started = subprocess.Popen(command, env={**own, "SEMSEARCH_DATA": str(data)}, stderr=written)
    try:
        yield Running(started.pid, _address(started, log))
    finally:
        started.terminate()
        started.wait(_STOP_SECONDS)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := _READY.search(log.read_text()):
            return str(found[1] or found[2])
        time.sleep(0.01)
    raise RuntimeError(f"The service exited before it was ready. Its log {log.name}:\n{log.read_text()}")
