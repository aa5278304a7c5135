"""A real service as a process, for tests, with its own folder and a free port."""

from __future__ import annotations

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

READY_SECONDS = 180.0
STOP_SECONDS = 30.0
ADDRESS = re.compile(r'"address": "([^"]+)"')


@dataclass(frozen=True)
class ServiceProcess:
    process: subprocess.Popen[str]
    address: str
    lines: Sequence[str]  # its log so far

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def command(module: str, *flags: str) -> list[str]:
    http = ["--http-port=0"] if module == "gateway" else []
    named = {flag.partition("=")[0] for flag in flags}
    defaults = ["--port=0", "--metrics-port=-1", "--log-format=json", *http]
    return [sys.executable, "-m", module, *(each for each in defaults if each.partition("=")[0] not in named), *flags]


def environment(data: Path) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("SEMSEARCH_")}
    return {**own, "SEMSEARCH_DATA": str(data)}


@contextmanager
def service_process(module: str, data: Path, *flags: str) -> Iterator[ServiceProcess]:
    """Start a service on a data folder, and wait until it is ready; stop it at the end."""
    process = subprocess.Popen(command(module, *flags), env=environment(data), stderr=subprocess.PIPE, text=True)
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
        yield ServiceProcess(process, found[1], lines)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_SECONDS)
        reader.join(STOP_SECONDS)
        log.close()


@dataclass(frozen=True)
class Refusal:
    """The status of a failed call."""

    code: grpc.StatusCode
    reason: str
    message: str
    fields: tuple[str, ...]

    @classmethod
    def of(cls, error: grpc.RpcError) -> Refusal:
        status = rpc_status.from_call(error)
        assert isinstance(status, status_pb2.Status), error
        return cls(error.code(), reason(status), status.message, fields(status))


def reason(status: status_pb2.Status) -> str:
    """Return the reason of a status of the suite, or "" if it has none."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if _unpacked(detail, info):
            assert info.domain == "semsearch"
            return info.reason
    return ""


def fields(status: status_pb2.Status) -> tuple[str, ...]:
    """Return the invalid fields that a status names."""
    found: list[str] = []
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if _unpacked(detail, bad):
            found.extend(violation.field for violation in bad.field_violations)
    return tuple(found)


def _unpacked(detail: object, into: Message) -> bool:
    return bool(detail.Unpack(into))  # type: ignore[attr-defined]
