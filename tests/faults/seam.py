"""The seam between a process and libc (`stop_at.c`): built once, loaded by LD_PRELOAD, armed from within."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("stop_at.c")
# What `stop_at.c` calls the kinds of changes.
WRITE, SYNC = "w", "s"
NEEDS_ROOM = frozenset("cwbmrl")


class Mode(IntEnum):
    """What happens at the n-th change of a file."""

    COUNT = 0
    STOP_BEFORE = 1
    STOP_HALFWAY = 2  # half of the bytes are written
    NO_SPACE = 3  # from there on, whatever needs room is refused
    POWER_LOSS = 4  # the machine stops: what was not synced is gone


def compiler() -> str | None:
    """Returns a C compiler, if there is one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "g++"))), None)


def build(compiler: str, folder: Path) -> Path:
    """Compiles the seam into a folder and returns the library."""
    library = folder / "stop_at.so"
    subprocess.run(
        [compiler, "-x", "c", "-O1", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True
    )
    return library


def environment(library: Path) -> dict[str, str]:
    """Returns the environment in which a process has the seam."""
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OPENBLAS_NUM_THREADS": "1",
    }


class Seam:
    """The library that this process was started with."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.faults_kinds.restype = ctypes.c_char_p

    def arm(self, folder: Path, mode: Mode, number: int = 0, image: Path | None = None) -> None:
        """From now on counts the changes below a folder; something happens at the `number`-th, from 1."""
        self._library.faults_arm(
            os.fsencode(folder), ctypes.c_int(mode), ctypes.c_long(number), os.fsencode(image or "")
        )

    def disarm(self) -> None:
        """Let everything pass again."""
        self._library.faults_disarm()

    def kinds(self) -> str:
        """Returns the kinds of the changes since `arm`, a letter each."""
        kinds: bytes = self._library.faults_kinds()
        return kinds.decode()

    def set_clock(self, seconds: int) -> None:
        """Let the wall clock be so many seconds ahead of the true one."""
        self._library.faults_set_clock(ctypes.c_long(seconds))
