"""A signal to end raises one exception in the main thread, whatever else arrives."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

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


FORCED = """
import os, signal, subprocess, sys, time
from launcher.stopping import Interrupted, end_groups, raise_on_signals
raise_on_signals()
stubborn = subprocess.Popen(
    ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], start_new_session=True,
    stdout=subprocess.PIPE,
)
stubborn.stdout.readline()
number = int(sys.argv[1])
try:
    signal.raise_signal(number)
except Interrupted:
    signal.raise_signal(number)  # at once: the same request, sent twice
    print("stopping", flush=True)
    started = time.monotonic()
    end_groups([stubborn.pid], 60)
    signal.signal(number, signal.SIG_IGN)  # while Python ends, it has no handlers any more
    print(stubborn.wait(), time.monotonic() - started > 0.3)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_another_signal_kills_what_does_not_end(number: signal.Signals) -> None:
    command = [sys.executable, "-c", FORCED, str(int(number))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopping\n"
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(number)
            time.sleep(0.05)
        assert (process.returncode, process.stdout.read()) == (0, "-9 True\n")
