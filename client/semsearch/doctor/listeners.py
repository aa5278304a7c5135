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


def program_at(port: int) -> str:
    """Return the program that listens on a port of this machine, with its process id; "" if the system hides it."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens_there = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:] == (port,)
            if listens_there and connection.pid:
                return _described(psutil.Process(connection.pid))
    return ""


def _described(process: psutil.Process) -> str:
    command = shlex.join(process.cmdline()) or process.name()
    short = command if len(command) <= _LONGEST_COMMAND else f"{command[:_LONGEST_COMMAND]}…"
    return f"`{short}` (process {process.pid})"
