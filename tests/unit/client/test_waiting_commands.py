"""What a command says while it waits for its server."""

from __future__ import annotations

import re

import pytest
from semsearch.cli.output import Output
from semsearch.cli.waiting import Waits
from semsearch.errors import ErrorDetails, Overloaded, ServerUnreachable

AWAY = ServerUnreachable("Nothing answers.")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_time_that_the_server_is_away_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    waits = Waits(Output(as_json=False), 60, clock)
    for first in (0.0, 20.0):  # the server answered in between
        for seconds in (0.0, 0.6, 1.4, 1.5, 3.0, 6.0):
            clock.now = 100 + first + seconds
            waits(AWAY, seconds)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(
        re.fullmatch(r"Nothing answers\. Waiting since \d\d:\d\d:\d\d, for up to 60 s\.", line) for line in lines
    )


def test_a_long_wait_that_the_server_asks_for_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Waits(Output(as_json=False), 60, Clock())(Overloaded("Busy.", ErrorDetails(retry_after_seconds=30)), 0.0)
    assert capsys.readouterr().err.startswith("Busy. Waiting since")
