"""A fault under load: what happens to the calls, and whether everything acknowledged is there afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from semsearch import Client
from semsearch.errors import SemsearchError

from tests.cluster.faults import Fault
from tests.cluster.load import Call, Load
from tests.cluster.suite import Suite

# Calls that begin later after a fault, or after it is healed, are answered.
FAILOVER_SECONDS = 15.0
CHECK_SECONDS = 60.0
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Result:
    """The calls of a trial, with times in seconds after the fault."""

    fault: Fault
    calls: Sequence[Call]
    struck: float
    healed: float
    lost: str
    memory: int

    def failed(self, *, is_plain: bool) -> list[Call]:
        """Return the calls of one kind of client that were not answered."""
        return [call for call in self.calls if call.failure and call.is_plain == is_plain]

    @property
    def wrong(self) -> list[str]:
        """What is wrong with answers."""
        return [f"{call.kind}: {call.fault}" for call in self.calls if call.fault]

    @property
    def failing_seconds(self) -> float:
        """How long after the fault a call could begin that was not answered."""
        return max((call.start - self.struck for call in self.calls if call.failure), default=0.0)

    @property
    def longest_seconds(self) -> float:
        """The longest that an answered call took."""
        return max((call.end - call.start for call in self.calls if not call.failure), default=0.0)

    @property
    def out_of_time(self) -> list[str]:
        """The calls that failed before the fault, or when the others, or the healed part, should have served."""
        until = self.struck if self.fault.others_serve else self.healed
        return [
            f"{call.kind} {call.start - self.struck:.1f} s after the fault: {call.failure}"
            for call in self.calls
            if call.failure and not self.struck - (call.end - call.start) <= call.start <= until + FAILOVER_SECONDS
        ]


def run_trial(suite: Suite, load: Load, fault: Fault, seconds: float) -> Result:
    """Let a fault last some seconds under load, or until the others serve; heal it, and look for what is lost."""
    load.start()
    try:
        load.wait_for_answers(CHECK_SECONDS, since=time.monotonic(), count=5)
        struck = time.monotonic()
        fault.strike(suite)
        try:
            if fault.others_serve:
                load.wait_for_answers(FAILOVER_SECONDS + CHECK_SECONDS, since=struck, count=5)
            threading.Event().wait(max(0.0, struck + seconds - time.monotonic()))
        finally:
            fault.heal(suite)
        healed = time.monotonic()
        load.wait_for_answers(FAILOVER_SECONDS + CHECK_SECONDS, since=healed, count=5)
    finally:
        load.stop()
    return Result(fault, tuple(load.calls), struck, healed, missing(load), suite.memory())


def missing(load: Load) -> str:
    """Say what is lost of a collection that nobody changes, or wrong with it; "" if nothing is."""
    with Client(load.address) as client:
        try:
            found = [image.id for image in client.list_images(collection=load.collection)]
            return load.oracle.difference(found) or load.check_bytes(client) or load.check_searches(client)
        except SemsearchError as error:
            return f"{type(error).__name__}: {error}"


HEADINGS = (
    "fault", "calls", "failed, sent once", "failed, default client", "wrong answers", "lost",
    "failing for s", "healed after s", "longest answer s", "memory MB",
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
        f"{result.failing_seconds:.1f}",
        f"{result.healed - result.struck:.1f}",
        f"{result.longest_seconds:.1f}",
        result.memory // _MEGABYTE,
    )
