"""Find the program that listens on a port."""

from __future__ import annotations

import contextlib
import shlex
import socket

import psutil

_CONNECT_SECONDS = 2.0
_LONGEST_COMMAND = 80


def listens(host: str, port: int) -> bool:
    """Return whether something accepts connections."""
    try:
        with socket.create_connection((host.strip("[]"), port), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def process_at(port: int) -> psutil.Process | None:
    """Return the process that listens on a port of this machine; None if the system hides it."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens_there = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
            if listens_there and connection.pid:
                return psutil.Process(connection.pid)
    return None


def command_of(process: psutil.Process) -> list[str]:
    """Return the words of a process's command; none if it has ended or the system hides them."""
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


def described(process: psutil.Process) -> str:
    """Return a process as people know it: its command, and its id."""
    command = shlex.join(command_of(process)) or "a program"
    short = command if len(command) <= _LONGEST_COMMAND else f"{command[:_LONGEST_COMMAND]}…"
    return f"`{short}` (process {process.pid})"
