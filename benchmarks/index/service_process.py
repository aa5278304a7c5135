"""Runs the real index service as a process over a data folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from benchmarks.service_process import running as running_process

_MAX_MESSAGE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class RunningService:
    """A running service; `started` is the `time.perf_counter` at which its process was started."""

    process_id: int
    stub: pb_grpc.IndexServiceStub
    started: float


@contextmanager
def running(data: Path, *settings: str) -> Iterator[RunningService]:
    """Start the service on a data folder, wait until it is ready, and stop it at the end; keep its log in the folder.

    Raises:
        RuntimeError: the service exited before it was ready.
    """
    started = time.perf_counter()
    with running_process("index_service", data, *settings) as process:
        options = [("grpc.max_send_message_length", _MAX_MESSAGE_BYTES)]
        with grpc.insecure_channel(process.address, options=options) as channel:
            yield RunningService(process.process_id, pb_grpc.IndexServiceStub(channel), started)
