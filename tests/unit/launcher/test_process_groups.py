"""Everything that a service started ends with it, even after the launcher is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.stopping import end_groups

DEADLINE_SECONDS = 20.0
Group = subprocess.Popen[str]
Start = Callable[[str], Group]


@pytest.fixture
def start() -> Iterator[Start]:
    groups: list[Group] = []

    def start(script: str) -> Group:
        """Run a script as the leader of a group; return once it reports that it is ready."""
        groups.append(subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True))
        assert groups[-1].stdout is not None
        assert groups[-1].stdout.readline() == "ready\n"
        return groups[-1]

    yield start
    for group in groups:
        end_groups([group.pid], 0)
        group.communicate(timeout=DEADLINE_SECONDS)


def has_ended(group: Group) -> bool:
    """Whether no process of a group runs; its leader is reaped."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        group.poll()
        try:
            os.killpg(group.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_a_group_is_ended_with_the_children_of_its_leader(start: Start) -> None:
    group = start("sleep 600 & echo ready; wait")
    end_groups([group.pid], 0.5)
    assert has_ended(group)


def test_what_ignores_sigterm_is_killed_after_the_grace_period(start: Start) -> None:
    group = start("trap '' TERM; sleep 600 & echo ready; wait")
    assert end_groups([group.pid], 0.2) == [group.pid]
    assert has_ended(group)
    assert group.returncode == -9


def test_what_ends_by_itself_is_not_killed(start: Start) -> None:
    group = start("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    end_groups([group.pid], 0.5)
    assert has_ended(group)
    assert group.returncode == 7


def test_who_waits_hears_of_those_that_have_not_ended(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "end")
    quick = start("trap 'exit' TERM; echo ready; while :; do sleep 0.05; done")
    slow = start(f"trap 'read line < {tmp_path}/end; exit' TERM; echo ready; while :; do sleep 0.05; done")
    for group in (quick, slow):
        threading.Thread(target=group.wait, args=[DEADLINE_SECONDS]).start()  # which reaps it
    heard: list[list[int]] = []

    def hear(left: list[int]) -> None:
        heard.append(left)
        (tmp_path / "end").write_text("now\n")

    assert end_groups([quick.pid, slow.pid], DEADLINE_SECONDS, hear) == []
    assert heard == [[slow.pid]]


def test_a_group_that_is_gone_is_no_error(start: Start) -> None:
    group = start("echo ready")
    group.wait(DEADLINE_SECONDS)
    end_groups([group.pid], DEADLINE_SECONDS)


def test_the_watchdog_ends_the_groups_when_its_pipe_ends(start: Start) -> None:
    group = start("echo ready; sleep 600")
    subprocess.run(
        [sys.executable, "-m", "launcher.stopping"],
        input=f"{group.pid} 0.5\n",
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert has_ended(group)


def test_the_watchdog_gives_each_group_its_time(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "end")
    group = start(f"trap 'read line < {tmp_path}/end; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    command = [sys.executable, "-m", "launcher.stopping"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as watchdog:
        assert watchdog.stdin is not None
        watchdog.stdin.write(f"{group.pid} {DEADLINE_SECONDS}\n")
        watchdog.stdin.close()
        (tmp_path / "end").write_text("now\n")  # once the group has its signal
        assert has_ended(group)
        assert watchdog.wait(DEADLINE_SECONDS) == 0
    assert group.returncode == 7


def test_the_watchdog_spares_a_group_that_was_taken_back(start: Start) -> None:
    group = start("echo ready; sleep 600")
    subprocess.run(
        [sys.executable, "-m", "launcher.stopping"],
        input=f"{group.pid} 0.5\n{-group.pid} 0\n",
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    os.killpg(group.pid, 0)
    assert group.poll() is None
