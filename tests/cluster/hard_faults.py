"""Faults that last: a server is stopped at each change of a file, or killed often; a slow disk; a clock that jumps."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.cluster.faults import NONE, Fault
from tests.cluster.load import ADD, READ, SEARCH
from tests.cluster.seamed import SeamedServer
from tests.cluster.suite import Suite
from tests.faults.seam import Mode

# Where a server keeps what must survive.
DISKS = {"index": "index", "gateway-1": "images"}
_LONGEST_SECONDS = 1.0


class Faults:
    """Makes faults that need the seam's library."""

    def __init__(self, library: Path) -> None:
        self._library = library

    def stopped(self, name: str, mode: Mode, numbers: Sequence[int], *, alone: Sequence[str] = ()) -> Fault:
        """Stop a server at its n-th change of a file after its start, for each n; `alone` are servers that are away."""

        def strike(suite: Suite) -> None:
            for other in (name, *alone):
                suite.servers[other].stop()
            server = self._seamed(suite, name)
            for number in numbers:
                server.stop_at(number, mode)
            assert server.reached, f"{name} was never stopped"

        def heal(suite: Suite) -> None:
            _start(suite, (*alone, name))

        return Fault(f"{mode.name} at {len(numbers)} points of {name}", strike, heal, NONE)

    def slow_disk(self, name: str, seconds: float) -> Fault:
        """Let each change of a file take longer."""
        return self._restarted(name, f"slow the disk of {name} by {1000 * seconds:.0f} ms", f"--delay={seconds}")

    def jumping_clock(self, name: str, jumps: Sequence[int]) -> Fault:
        """Let the clock of a server jump twice a second."""
        what = f"let the clock of {name} jump by up to {max(map(abs, jumps))} s"
        return self._restarted(name, what, *(f"--jump={each}" for each in jumps))

    def _restarted(self, name: str, what: str, *flags: str) -> Fault:
        def strike(suite: Suite) -> None:
            suite.servers[name].stop()
            self._seamed(suite, name).start(*flags)
            suite.servers[name].wait_until_ready()

        def heal(suite: Suite) -> None:
            suite.servers[name].stop()
            _start(suite, (name,))

        return Fault(what, strike, heal, frozenset({SEARCH, READ, ADD}))

    def _seamed(self, suite: Suite, name: str) -> SeamedServer:
        return SeamedServer(suite.servers[name], suite.machine(DISKS[name]).folder, self._library)


def killed_again_and_again(names: Sequence[str], count: int, seed: int = 1) -> Fault:
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

    return Fault(f"kill {count} times, in turn {', '.join(names)}", strike, heal, NONE)


def disturbed(name: str, *, dropped: float, overtaken: float) -> Fault:
    """Let the link of a machine lose frames, and deliver others late."""
    return Fault(
        f"lose {dropped:.0%} of the frames of {name}, and deliver {overtaken:.0%} late",
        lambda suite: suite.machine(name).link.disturb(dropped=dropped, overtaken=overtaken),
        lambda suite: suite.machine(name).link.heal(),
    )


def _start(suite: Suite, names: Sequence[str]) -> None:
    for name in names:
        with suppress(ProcessLookupError):
            suite.servers[name].close()
        suite.servers[name].start()
    for name in names:
        suite.servers[name].wait_until_ready()
