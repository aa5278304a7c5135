"""The real embedder as a process with a bundle, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc

from tests.services.service_process import ServiceProcess, service_process


@dataclass(frozen=True)
class EmbedderProcess(ServiceProcess):
    stub: pb_grpc.EmbedderServiceStub


@contextmanager
def embedder_process(data: Path, bundle: Path, *flags: str) -> Iterator[EmbedderProcess]:
    """Start the service with a default bundle, and wait until it is ready; stop it at the end."""
    with (
        service_process("embedder_service", data, f"--default-model={bundle}", *flags) as service,
        grpc.insecure_channel(service.address, options=[("grpc.max_receive_message_length", 64 * 2**20)]) as channel,
    ):
        yield EmbedderProcess(service.process, service.address, service.lines, pb_grpc.EmbedderServiceStub(channel))
