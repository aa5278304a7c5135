"""A signal to end raises one exception in the main thread, whatever else arrives."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from launcher.stopping import Interrupted, raise_on_signals
number, before = int(sys.argv[1]), sys.argv[2]
signal.signal(number, signal.SIG_IGN if before == "ignored" else signal.SIG_DFL)
raise_on_signals()
try:
    signal.raise_signal(number)
    print("went on")
except Interrupted as interrupt:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.raise_signal(other)
    print("ended with", interrupt.exit_status)
"""


@pytest.mark.parametrize(
    ("number", "before", "said"),
    [
        (signal.SIGINT, "default", "ended with 130"),
        (signal.SIGTERM, "default", "ended with 143"),
        (signal.SIGHUP, "default", "ended with 129"),
        (signal.SIGHUP, "ignored", "went on"),
    ],
)
def test_the_first_signal_ends_and_no_other_disturbs_the_end(number: signal.Signals, before: str, said: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(int(number)), before]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, "")
