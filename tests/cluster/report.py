"""The table of a run, and a file beside it with each call that was not answered, or answered wrongly."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.cluster.trial import HEADINGS, Result, row


@dataclass
class Report:
    """Shows and writes everything at once, because a run takes long."""

    table: TextIO
    calls: TextIO

    def begin(self, title: str) -> None:
        """Begin a table."""
        self._show(f"\n{title}; load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores.\n")
        self._show(_line(HEADINGS))
        self._show(_line(["---", *["---:"] * (len(HEADINGS) - 1)]))

    def add(self, result: Result) -> None:
        """Add a fault to the table."""
        self._show(_line(row(result)))
        self.calls.write(f"{json.dumps(_detailed(result))}\n")
        self.calls.flush()

    def end(self, problems: Sequence[str]) -> None:
        """End the table, and list what must not have happened."""
        self._show("\n".join(["", *(f"- {each}" for each in problems)]))

    def _show(self, line: str) -> None:
        for to in (self.table, sys.stdout):
            to.write(f"{line}\n")
            to.flush()


@contextmanager
def open_report(path: Path) -> Iterator[Report]:
    """Begin the table at a path, and `….jsonl` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as table, path.with_suffix(".jsonl").open("w") as calls:
        yield Report(table, calls)


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _detailed(result: Result) -> dict[str, object]:
    return {
        "fault": result.fault.name,
        "healed": round(result.healed - result.struck, 2),
        "lost": result.lost,
        "silence": [*result.silence],
        "calls": [
            {
                "kind": call.kind,
                "client": "plain" if call.is_plain else "default",
                "start": round(call.start - result.struck, 2),
                "seconds": round(call.end - call.start, 2),
                "failure": call.failure,
                "wrong": call.fault,
            }
            for call in result.calls
            if call.failure or call.fault
        ],
    }
