"""The real index service as a process over a data folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

__all__ = ["RunningService", "running"]

_LOG = "service.log"
_READY = re.compile(r'"address": "([^"]+)".*"event": "ready"|"event": "ready".*"address": "([^"]+)"')
_READY_SECONDS = 600.0
_STOP_SECONDS = 120.0
_LARGEST_MESSAGE = 64 * 2**20


@dataclass(frozen=True)
class RunningService:
    """A service that answers; `started` is the `time.perf_counter` at which its process was begun."""

    process_id: int
    stub: pb_grpc.IndexServiceStub
    started: float


@contextmanager
def running(data: Path, *settings: str) -> Iterator[RunningService]:
    """Starts the service on a data folder, waits until it is ready, and ends it; its log is kept in the folder.

    Raises:
        RuntimeError: it ended instead of getting ready.
    """
    data.mkdir(exist_ok=True)
    own = {name: text for name, text in os.environ.items() if not name.startswith("SEMSEARCH_")}
    flags = ("--port=0", "--metrics-port=-1", "--log-format=json", *settings)
    started = time.perf_counter()
    with (data / _LOG).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "index_service", *flags], env={**own, "SEMSEARCH_DATA": str(data)}, stderr=log
        )
    try:
        address = _address(process, data / _LOG)
        options = [("grpc.max_send_message_length", _LARGEST_MESSAGE)]
        with grpc.insecure_channel(address, options=options) as channel:
            yield RunningService(process.pid, pb_grpc.IndexServiceStub(channel), started)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := _READY.search(log.read_text()):
            return str(found[1] or found[2])
        time.sleep(0.005)
    raise RuntimeError(f"The index service did not get ready; it wrote:\n{log.read_text()}")
