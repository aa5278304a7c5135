"""Servers of object stores for tests, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import requests

BUCKET = "images"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class ObjectServer:
    """A server with a bucket `images`, and what is peculiar to its protocol.

    Attributes:
        scheme: Of the URLs of places that it keeps.
        endpoint: The variable that names the server to clients.
        variables: Others that clients need.
        refusals: Status and body of answers that refuse, by their kind in `BreakingProxy`.
        time: An object's time in a list; `long_ago` replaces it.
        url: Where it listens.
    """

    scheme: str
    endpoint: str
    variables: Mapping[str, str]
    refusals: Mapping[str, tuple[int, bytes]]
    time: re.Pattern[bytes]
    long_ago: bytes
    url: str = ""

    def environment(self, url: str = "") -> dict[str, str]:
        """Return the variables with which clients reach the server, or another one at a URL."""
        return {self.endpoint: url or self.url, **self.variables}

    def place(self, prefix: str) -> str:
        """Return the URL of a prefix in the bucket."""
        return f"{self.scheme}://{BUCKET}/{prefix}"


@contextmanager
def running(
    server: ObjectServer, command: Sequence[str], url: str, make_bucket: Callable[[], requests.Response]
) -> Iterator[ObjectServer]:
    """Run a server, and yield it once its bucket is made."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                make_bucket().raise_for_status()
                break
            except requests.ConnectionError:
                assert process.poll() is None
                assert time.monotonic() < deadline
        yield replace(server, url=url)
    finally:
        process.kill()
        process.wait()
