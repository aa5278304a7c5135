"""Ports for servers whose ports are set before they start."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

# Not the usual one: whoever seeds that, as trainings do, would get the same ports again, also in other processes.
_RANDOM = random.SystemRandom()


def free_ports(count: int) -> range:
    """Return that many free ports in a row, below those that the system gives to others in the meantime."""
    while True:
        first = _RANDOM.randrange(10_000, 30_000)
        try:
            with ExitStack() as opened:
                for port in range(first, first + count):
                    opened.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return range(first, first + count)


@contextmanager
def silent_port() -> Iterator[int]:
    """Yield a port that neither accepts connections nor refuses them, as behind a link that was cut."""
    with socket.socket() as server, ExitStack() as opened:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # so many fill the queue of those that wait to be accepted; the system drops more
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        yield server.getsockname()[1]
