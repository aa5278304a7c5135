"""How commands with long work wait for a server that is away, and say so."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

import typer

from semsearch.cli.output import Output
from semsearch.client import Client
from semsearch.errors import SemsearchError
from semsearch.transport.retries import Retries
from semsearch.transport.server import DEFAULT_TIMEOUT_SECONDS

DEFAULT_PATIENCE = Retries().patience
_MOST_PATIENCE = 7 * 86_400
Patience = Annotated[
    float,
    typer.Option(
        min=0,
        max=_MOST_PATIENCE,
        metavar="SECONDS",
        help="How long to wait for a server that went away; 0: not at all.",
    ),
]
# Shorter waits are not worth a line.
_UNSAID_SECONDS = 1.0


def patient_client(server: str, output: Output, patience: float) -> Client:
    """Return a client whose calls each wait up to `patience` seconds for a server that was there before."""
    retries = Retries(attempts=None, patience=patience, on_wait=Waits(output, patience))
    return Client(server, timeout=DEFAULT_TIMEOUT_SECONDS + patience, retries=retries)


class Waits:
    """Says since when the command waits, once for each time that the server is away. Several threads may wait."""

    def __init__(self, output: Output, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._last = -math.inf

    def __call__(self, error: SemsearchError, seconds: float) -> None:
        """Note that a call waits, `seconds` after the first one began to (`Retries.on_wait`)."""
        if seconds + (error.details.retry_after_seconds or 0) < _UNSAID_SECONDS:
            return
        now = self._clock()
        with self._lock:
            is_said, self._last = now - seconds <= self._last, now
        if not is_said:
            since = datetime.now() - timedelta(seconds=seconds)
            self._output.say(f"{error.message} Waiting since {since:%H:%M:%S}, for up to {self._patience:g} s.")
