"""Runs a service with a faulty disk or clock: `python -m tests.faults.behind_seam --help` (with the seam loaded).

A child of the service has the seam, but no fault. Syncs below the folder are skipped, unless they are what survives.
"""

from __future__ import annotations

import argparse
import itertools
import runpy
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.seam import Mode, Seam


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the disk")
    parser.add_argument("--mode", choices=[mode.name for mode in Mode], default=Mode.COUNT.name)
    parser.add_argument("--number", type=int, default=0, help="of the change that the mode is about")
    parser.add_argument("--image", type=Path, help="where what survives a loss of power is kept")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each change takes longer")
    parser.add_argument("--jump", type=int, action="append", help="seconds that the clock is ahead, in turn")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two jumps")
    parser.add_argument("service", nargs=argparse.REMAINDER, help="module and flags")
    options = parser.parse_args()
    seam = Seam()
    seam.arm(options.folder, Mode[options.mode], options.number, options.image)
    seam.set_delay(options.delay)
    if options.jump:
        threading.Thread(target=_jump, args=(seam, options.jump, options.every), daemon=True).start()
    sys.argv = options.service
    runpy.run_module(options.service[0], run_name="__main__", alter_sys=True)


def _jump(seam: Seam, jumps: Sequence[int], seconds: float) -> None:
    for ahead in itertools.cycle(jumps):
        seam.set_clock(ahead)
        time.sleep(seconds)


if __name__ == "__main__":
    main()
