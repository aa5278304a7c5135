"""The real index service as a process, for tests: its own folder, any free port."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
ADDRESS = re.compile(r'"address": "([^"]+)"')


@dataclass(frozen=True)
class IndexProcess:
    process: subprocess.Popen[str]
    address: str
    stub: pb_grpc.IndexServiceStub
    lines: Sequence[str]  # what it logged so far

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "index_service", "--port=0", "--metrics-port=-1", "--log-format=json", *flags]


def environment(data: Path) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("SEMSEARCH_")}
    return {**own, "SEMSEARCH_DATA": str(data)}


@contextmanager
def index_process(data: Path, *flags: str) -> Iterator[IndexProcess]:
    """Starts the service on a data folder and waits until it is ready; ends it if it still runs."""
    process = subprocess.Popen(command(*flags), env=environment(data), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    log = process.stderr
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in log:
            lines.append(line)
            if '"event": "ready"' in line:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(READY_SECONDS), "".join(lines)
        found = ADDRESS.search("".join(lines))
        assert found, "".join(lines)
        options = [("grpc.max_receive_message_length", 64 * 2**20)]
        with grpc.insecure_channel(found[1], options=options) as channel:
            yield IndexProcess(process, found[1], pb_grpc.IndexServiceStub(channel), lines)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_SECONDS)
        reader.join(STOP_SECONDS)
        log.close()


def item(item_id: str, vector: Sequence[float], **attributes: object) -> pb.Item:
    message = pb.Item(id=item_id, vector=vector)
    message.attributes.update(attributes)
    return message


def query(vector: Sequence[float]) -> pb.SearchQuery:
    return pb.SearchQuery(vector=pb.QueryVector(values=vector))


@dataclass(frozen=True)
class Refusal:
    """What a failed call told."""

    code: grpc.StatusCode
    reason: str
    message: str
    fields: tuple[str, ...]

    @classmethod
    def of(cls, error: grpc.RpcError) -> "Refusal":
        status = rpc_status.from_call(error)
        assert isinstance(status, status_pb2.Status), error
        reason, fields = "", []
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if _unpacked(detail, info):
                assert info.domain == "semsearch"
                reason = info.reason
            elif _unpacked(detail, bad):
                fields.extend(violation.field for violation in bad.field_violations)
        return cls(error.code(), reason, status.message, tuple(fields))


def _unpacked(detail: "object", into: Message) -> bool:
    return bool(detail.Unpack(into))  # type: ignore[attr-defined]
