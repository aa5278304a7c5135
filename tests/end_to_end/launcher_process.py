"""The launcher as users start it, with the real services, on its own ports and in its own folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_ports

REPOSITORY = Path(__file__).parents[2]
READY = "Ctrl-C stops everything."
# A deadline, not a measure: on a busy machine, importing the models' libraries alone takes a minute.
READY_SECONDS = 300.0
STOP_SECONDS = 5.0
_SETTINGS = [
    *(f"SEMSEARCH_{name}_{kind}" for name in ("GATEWAY", "EMBEDDER", "INDEX") for kind in ("PORT", "METRICS_PORT")),
    "SEMSEARCH_GATEWAY_HTTP_PORT",
]


def settings(data: Path, bundle: Path) -> dict[str, str]:
    """Settings for a suite of its own: free ports, a data folder, a bundle."""
    ports = dict(zip(_SETTINGS, map(str, free_ports(len(_SETTINGS))), strict=True))
    return {**ports, "SEMSEARCH_DATA": str(data), "SEMSEARCH_EMBEDDER_DEFAULT_MODEL": str(bundle)}


def two_gateways() -> dict[str, str]:
    """Settings for two gateway processes, whose own ports follow the others."""
    first = free_ports(10).start
    kinds = {"PORT": first, "METRICS_PORT": first + 5}
    ports = {
        f"SEMSEARCH_{service}_{kind}": str(start + number)
        for kind, start in kinds.items()
        for number, service in enumerate(("GATEWAY", "EMBEDDER", "INDEX"))
    }
    return {**ports, "SEMSEARCH_GATEWAY_PROCESSES": "2"}


def command(gallery: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "launcher", "--gallery", str(gallery), "--ready-seconds", str(READY_SECONDS), *flags]


def environment(own: Mapping[str, str]) -> dict[str, str]:
    return {**{name: text for name, text in os.environ.items() if not name.startswith("SEMSEARCH_")}, **own}


def run_launcher(own: Mapping[str, str], gallery: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end, for cases where it should not start."""
    return subprocess.run(
        command(gallery), cwd=REPOSITORY, env=environment(own), capture_output=True, text=True,
        timeout=READY_SECONDS, check=False,
    )  # fmt: skip


@dataclass
class Launcher:
    """A running launcher, and what it printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    _ended: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, part: str) -> None:
        """Wait until a line with this part is printed."""
        with self._changed:
            seen = self._changed.wait_for(
                lambda: any(part in line for line in self.lines) or self._ended, READY_SECONDS
            )
        assert seen, self.text
        assert part in self.text, self.text

    def stop(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit status; fail if it takes longer than promised."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def descendants(self) -> set[int]:
        """The ids of all processes that it started, directly or not."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        children: dict[int, set[int]] = {}
        for line in listed.stdout.splitlines():
            child, parent = map(int, line.split())
            children.setdefault(parent, set()).add(child)
        found: set[int] = set()
        new = {self.process.pid}
        while new := {child for parent in new for child in children.get(parent, ())}:
            found |= new
        return found

    def process_of(self, package: str) -> int:
        """The id of the process that runs a service's package."""
        return next(pid for pid in self.descendants() if f"-m {package}" in " ".join(_running([pid])))

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def launcher(own: Mapping[str, str], gallery: Path, *flags: str) -> Iterator[Launcher]:
    """Start it; stop it if it still runs."""
    process = subprocess.Popen(
        command(gallery, *flags), cwd=REPOSITORY, env=environment(own),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    running = Launcher(process)
    reader = threading.Thread(target=running.read)
    reader.start()
    try:
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_SECONDS * 2)
        reader.join(STOP_SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def assert_all_gone(processes: Sequence[int] | set[int], own: Mapping[str, str], seconds: float = 0) -> None:
    """Check that no process is left and that every port can be opened, now or within some seconds."""
    deadline = time.monotonic() + seconds
    while (left := _running(processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    for name in _SETTINGS:
        with socket.create_server(("127.0.0.1", int(own[name]))):
            pass


def _running(processes: Sequence[int] | set[int]) -> list[str]:
    """The lines of `ps` for those processes that run; zombies do not count."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [" ".join(row) for row in rows if int(row[0]) in processes and not row[1].startswith("Z")]
