"""Runs the real index service as a process for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from tests.services.packed_vectors import packed
from tests.services.service_process import ServiceProcess, service_process


@dataclass(frozen=True)
class IndexProcess(ServiceProcess):
    stub: pb_grpc.IndexServiceStub


@contextmanager
def index_process(data: Path, *flags: str) -> Iterator[IndexProcess]:
    """Start the service on a data folder and wait until it is ready; stop it at the end if it still runs."""
    with (
        service_process("index_service", data, *flags) as service,
        grpc.insecure_channel(service.address, options=[("grpc.max_receive_message_length", 64 * 2**20)]) as channel,
    ):
        yield IndexProcess(service.process, service.address, service.lines, pb_grpc.IndexServiceStub(channel))


def item(item_id: str, vector: Sequence[float], **attributes: object) -> pb.Item:
    text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":")) if attributes else ""
    return pb.Item(id=item_id, vector=packed(vector), attributes=text)


def query(vector: Sequence[float]) -> pb.SearchQuery:
    return pb.SearchQuery(vector=packed(vector))
