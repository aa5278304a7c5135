"""A process shows that it is alive to others of its machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from gateway.living_processes import living

_CODE = """
import sys
from pathlib import Path
from gateway.living_processes import living
with living(Path(sys.argv[1])) as own:
    print(own.own, flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_has_ended_and_a_suspended_one_has_not(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CODE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        other = process.stdout.readline().strip()
        with living(tmp_path) as processes:
            assert not processes.has_ended(other)
            process.send_signal(signal.SIGSTOP)
            assert not processes.has_ended(other)
            process.kill()
            process.wait()
            assert processes.has_ended(other)
            assert not processes.has_ended(processes.own)


def test_of_others_nothing_is_known(tmp_path: Path) -> None:
    with living(tmp_path) as processes:
        machine = processes.own.partition(".")[0]
        for unknown in ("", "elsewhere.0", f"{machine}.0", f"{machine}./etc/passwd"):
            assert not processes.has_ended(unknown)


def test_files_of_ended_processes_do_not_pile_up(tmp_path: Path) -> None:
    for _ in range(3):
        with living(tmp_path):
            pass
    assert len(list(tmp_path.iterdir())) == 1
