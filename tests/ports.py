"""Ports for servers whose ports are set before they start."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack


def free_ports(count: int) -> range:
    """Return that many free ports in a row, below those that the system gives to others in the meantime."""
    while True:
        first = random.randrange(10_000, 30_000)
        try:
            with ExitStack() as opened:
                for port in range(first, first + count):
                    opened.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return range(first, first + count)
