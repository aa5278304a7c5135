"""Claim the data folder for one suite, and write where it listens.

While the launcher runs, `suite.json` in the data folder has the address of each service and the launcher's process id:

    {"embedder": "127.0.0.1:50052", "index": "127.0.0.1:50053", "gateway": "127.0.0.1:50051",
     "http": "http://127.0.0.1:8080", "pid": 4711}

If several gateway processes share the ports, those after the first are in `processes`, by name:

    "processes": {"gateway-2": {"address": "127.0.0.1:50055", "metrics_port": 9054}}

The `semsearch` command reads it. A lock decides whether a launcher runs, because the system frees it when the process
ends, and process ids are used again; so the file of a launcher that was killed is replaced.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launcher.errors import AlreadyRunning, DataNotWritable
from launcher.services import Service, processes_of
from serving.durable_files import write_file
from serving.tls_settings import TlsSettings

FILE = "suite.json"
_LOCK = "launcher/lock"


@contextmanager
def claimed(data: Path) -> Iterator[None]:
    """Hold the data folder against other launchers, and remove `suite.json` at the end.

    Raises:
        AlreadyRunning: another launcher holds it.
        DataNotWritable: the folder cannot be made or written.
    """
    lock = data / _LOCK
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError as error:
        raise DataNotWritable(data, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(data, _read_text(data / FILE, "gateway"), _read_text(data / FILE, "pid")) from error
        try:
            yield
        finally:
            (data / FILE).unlink(missing_ok=True)


def write_addresses(data: Path, services: Sequence[Service]) -> None:
    """Write `suite.json` for this process's suite.

    Raises:
        DataNotWritable: it cannot be written.
    """
    content: dict[str, object] = {service.name: service.address for service in services}
    if http := [service.http_url for service in services if service.http_url]:
        content["http"] = http[0]
    others = [process for service in services for process in processes_of(service, services)[1:]]
    if others:
        content["processes"] = {
            each.name: {"address": each.own_address, "metrics_port": each.metrics_port} for each in others
        }
    if certificates := [service.tls for service in services if service.tls is not None]:
        content["tls"] = {name: str(Path(file).absolute()) for name, file in _files(certificates[0]).items() if file}
    content["pid"] = os.getpid()
    try:
        write_file(data / FILE, f"{json.dumps(content)}\n".encode())
    except OSError as error:
        raise DataNotWritable(data, error) from error


def _files(tls: TlsSettings) -> dict[str, str]:
    return {"ca": tls.tls_ca, "certificate": tls.tls_cert, "key": tls.tls_key}


def _read_text(file: Path, key: str) -> str:
    """Return a value of the file, or "" if it is not there (yet)."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))[key])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
