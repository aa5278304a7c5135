"""Faults that last: a server is stopped at each change of a file, or killed often; a slow disk; a clock that jumps."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.faults import ALL, NONE, READS, Fault, full
from tests.cluster.seamed import SeamedServer
from tests.cluster.suite import IMAGES_FOLDER, Suite
from tests.faults.seam import Mode

# Where servers keep what must survive: the machine, and the folder on its disk.
_DISKS = {"index": ("index", "index"), "gateway-1": ("images", IMAGES_FOLDER)}
# While one of these is away, others serve.
_OTHERS = ("gateway-1",)
KILLED = ("index", "gateway-1", "gateway-2", "embedder-1", "embedder-2")
_LONGEST_SECONDS = 1.0


# Losses of a bad network. TCP repairs them, more slowly.
_DROPPED, _OVERTAKEN = 0.02, 0.05
# As far as clocks of a suite may differ: certificates and signed calls have times.
_JUMPS = (240, -240, 60, -200, 0)
_SLOW_SECONDS = 0.05
_KILLS_A_TRIAL = 50


def hard_faults(library: Path, points: int, kills: int) -> Sequence[Fault]:
    """Return all of them; `library` is the seam."""
    every = range(1, points + 1)
    return (
        _Stops("index", Mode.STOP_HALFWAY, every, library).fault(),
        _Stops("index", Mode.POWER_LOSS, every, library).fault(),
        _Stops("gateway-1", Mode.STOP_HALFWAY, every, library, alone=("gateway-2",)).fault(),
        _Stops("gateway-1", Mode.POWER_LOSS, every, library, alone=("gateway-2",)).fault(),
        *(killed_often(KILLED, min(_KILLS_A_TRIAL, kills - done), done) for done in range(0, kills, _KILLS_A_TRIAL)),
        full("index", served=READS),
        full("images", served=READS),
        slow_disk("index", library),
        slow_disk("gateway-1", library),
        jumping_clock("index", library),
        jumping_clock("gateway-1", library),
        disturbed("index"),
        disturbed("gateway-1"),
        disturbed("embedder-1"),
    )


@dataclass(frozen=True)
class _Stops:
    """Stops a server at its n-th change of a file after its start, for each n; `alone` are servers that are away."""

    name: str
    mode: Mode
    numbers: Sequence[int]
    library: Path
    alone: Sequence[str] = ()

    def fault(self) -> Fault:
        what = "lose the power of" if self.mode is Mode.POWER_LOSS else "stop"
        return Fault(f"{what} {self.name} at {len(self.numbers)} changes of files", self._strike, self._heal, NONE)

    def _strike(self, suite: Suite) -> None:
        for each in (self.name, *self.alone):
            suite.servers[each].stop()
        server = _seamed(suite, self.name, self.library)
        for number in self.numbers:
            server.stop_at(number, self.mode)
        assert server.reached > len(self.numbers) / 2, f"{self.name} was stopped only {server.reached} times"

    def _heal(self, suite: Suite) -> None:
        for each in (self.name, *self.alone):
            suite.servers[each].start()
        for each in (self.name, *self.alone):
            suite.servers[each].wait_until_ready()


def killed_often(names: Sequence[str], count: int, seed: int) -> Fault:
    """Kill servers in turn, each at a random moment after its start, and start them again."""

    def strike(suite: Suite) -> None:
        chance = random.Random(seed)
        for number in range(count):
            server = suite.servers[names[number % len(names)]]
            server.wait_until_ready()
            threading.Event().wait(chance.uniform(0, _LONGEST_SECONDS))
            server.kill()
            server.start()

    def heal(suite: Suite) -> None:
        for name in names:
            suite.servers[name].wait_until_ready()

    return Fault(f"kill servers {count} times (from {seed})", strike, heal, NONE)


def slow_disk(name: str, library: Path) -> Fault:
    """Let each change of a file take longer."""
    what = f"slow each change of a file of {name} by {1000 * _SLOW_SECONDS:.0f} ms"
    return _started_with(what, name, library, f"--delay={_SLOW_SECONDS}")


def jumping_clock(name: str, library: Path) -> Fault:
    """Let the clock of a server jump twice a second."""
    what = f"let the clock of {name} jump by up to {max(map(abs, _JUMPS))} s"
    return _started_with(what, name, library, *(f"--jump={each}" for each in _JUMPS))


def disturbed(name: str) -> Fault:
    """Let the link of a machine lose frames, and deliver others late."""
    return Fault(
        f"lose {_DROPPED:.0%} of the frames of {name}, deliver {_OVERTAKEN:.0%} late",
        lambda suite: suite.machine(name).link.disturb(dropped=_DROPPED, overtaken=_OVERTAKEN),
        lambda suite: suite.machine(name).link.heal(),
    )


def _started_with(what: str, name: str, library: Path, *flags: str) -> Fault:
    """Restart a server with a faulty disk or clock."""

    def strike(suite: Suite) -> None:
        suite.servers[name].stop()
        _seamed(suite, name, library).start(*flags)
        suite.servers[name].wait_until_ready()

    def heal(suite: Suite) -> None:
        suite.servers[name].stop()
        suite.servers[name].start()
        suite.servers[name].wait_until_ready()

    return Fault(what, strike, heal, ALL if name in _OTHERS else NONE)


def _seamed(suite: Suite, name: str, library: Path) -> SeamedServer:
    machine, folder = _DISKS[name]
    return SeamedServer(suite.servers[name], suite.machine(machine).folder / folder, library)
