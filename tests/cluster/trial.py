"""A fault under load: what happens to the calls, and whether everything acknowledged is there afterwards."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.cluster.faults import ALL, READS, Fault
from tests.cluster.load import DELETE, Call, Load
from tests.cluster.suite import Suite

# Calls that begin later after a fault, or after it is healed, are answered.
FAILOVER_SECONDS = 15.0
RECOVERY_SECONDS = 60.0
_WAITED_FOR = ALL - {DELETE}  # deletions are rare
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Result:
    """The calls of a trial, with times in seconds after the fault."""

    fault: Fault
    calls: Sequence[Call]
    struck: float
    healed: float
    silence: Sequence[str]  # when calls of a kind were not answered for long
    lost: str
    memory: int
    load: float  # of the machine at the end

    def failed(self, *, is_plain: bool) -> list[Call]:
        """Return the calls of one kind of client that were not answered."""
        return [call for call in self.calls if call.failure and call.is_plain == is_plain]

    @property
    def wrong(self) -> list[str]:
        """What is wrong with answers."""
        return [f"{call.kind}: {call.fault}" for call in self.calls if call.fault]

    def failing_seconds(self, kinds: Collection[str]) -> float:
        """How long after the fault calls of some kinds could begin that were not answered."""
        begun = (call.start - self.struck for call in self.calls if call.failure and call.kind in kinds)
        return max([0.0, *begun])

    @property
    def longest_seconds(self) -> float:
        """The longest that an answered call took."""
        return max((call.end - call.start for call in self.calls if not call.failure), default=0.0)

    @property
    def out_of_time(self) -> list[str]:
        """What failed users before the fault, or when the others, or the healed part, should have served.

        Only calls of default clients count: a plain one fails again whenever it tries whether an ill gateway is well.
        """
        return [
            *self.silence,
            *(
                f"{call.kind} {call.start - self.struck:.1f} s after the fault: {call.failure}"
                for call in self.failed(is_plain=False)
                if not (call.end >= self.struck and call.start <= self._until(call.kind))
            ),
        ]

    def _until(self, kind: str) -> float:
        """Return when calls of a kind must be answered again."""
        return (self.struck if kind in self.fault.served else self.healed) + FAILOVER_SECONDS


def run_trial(suite: Suite, load: Load, fault: Fault, seconds: float) -> Result:
    """Let a fault last some seconds under load, or until the others serve; heal it, and look for what is lost."""
    silence: list[str] = []

    def wait(when: str, kinds: frozenset[str]) -> None:
        if unanswered := load.wait_for_answers(kinds & _WAITED_FOR, RECOVERY_SECONDS, since=time.monotonic()):
            silence.append(f"{when}, {unanswered}")

    load.start()
    try:
        wait("before the fault", ALL)
        struck = time.monotonic()
        fault.strike(suite)
        try:
            wait("during the fault", fault.served)
            threading.Event().wait(max(0.0, struck + seconds - time.monotonic()))
        finally:
            fault.heal(suite)
        healed = time.monotonic()
        wait("after it was healed", ALL)
    finally:
        load.stop()
    return Result(fault, tuple(load.calls), struck, healed, silence, load.check(), suite.memory(), os.getloadavg()[0])


HEADINGS = (
    "fault", "calls", "failed, sent once", "failed, default client", "wrong answers", "lost",
    "reads failing for s", "changes failing for s", "healed after s", "longest answer s", "memory MB", "load",
)  # fmt: skip


def row(result: Result) -> tuple[object, ...]:
    """Return a line of the table."""
    return (
        result.fault.name,
        len(result.calls),
        len(result.failed(is_plain=True)),
        len(result.failed(is_plain=False)),
        len(result.wrong),
        result.lost or 0,
        f"{result.failing_seconds(READS):.1f}",
        f"{result.failing_seconds(ALL - READS):.1f}",
        f"{result.healed - result.struck:.1f}",
        f"{result.longest_seconds:.1f}",
        result.memory // _MEGABYTE,
        f"{result.load:.0f}",
    )
