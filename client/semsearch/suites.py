"""The addresses of the working folder's suite.

While it runs, the launcher keeps a file with its addresses in the data folder (`SEMSEARCH_DATA`, or ./var):

    {"gateway": "127.0.0.1:50051", "index": "127.0.0.1:50053", "pid": 4711}

A launcher that was killed leaves the file behind, so its process is checked too.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "suite.json"
# A launcher that has run here leaves this in the data folder.
_TRACE = "launcher"
_THIS_MACHINE = {"localhost", "::1", "[::1]", "0.0.0.0", "::", "[::]"}  # noqa: S104 — recognised, not bound


@dataclass(frozen=True)
class GatewayProcess:
    """One of several gateway processes: its own address, and the port of its metrics, -1 if they are off."""

    name: str
    address: str
    metrics_port: int


@dataclass(frozen=True)
class Suite:
    """The addresses of a folder's suite, "" if unknown; `is_stopped` if it has run, but is not running now.

    `pid` is its launcher's process, 0 if none runs. `processes` has the gateway processes after the first.
    `tls` has the files of its authorities, certificate and key, "" for none; without a certificate it is plaintext.
    """

    gateway: str = ""
    index: str = ""
    is_stopped: bool = False
    embedder: str = ""
    pid: int = 0
    processes: tuple[GatewayProcess, ...] = ()
    tls: tuple[str, str, str] = ("", "", "")


def data_folder() -> Path:
    """Return the data folder that is set by the environment, or is in the working folder."""
    return Path(os.environ.get("SEMSEARCH_DATA") or "var")


def of_this_folder() -> Suite:
    """Return the suite of the data folder."""
    data = data_folder()
    try:
        written: Any = json.loads((data / FILE).read_text(encoding="utf-8"))
        gateway, pid = written["gateway"], int(written["pid"])
        index, embedder = written.get("index", ""), written.get("embedder", "")
        processes = tuple(
            GatewayProcess(name, str(each["address"]), int(each["metrics_port"]))
            for name, each in written.get("processes", {}).items()
        )
        files = written.get("tls", {})
        tls = str(files.get("ca", "")), str(files.get("certificate", "")), str(files.get("key", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no file, or not one of ours
        return Suite(is_stopped=_exists(data / _TRACE))
    if not _runs(pid):
        return Suite(is_stopped=True)
    return Suite(str(gateway), str(index), embedder=str(embedder), pid=pid, processes=processes, tls=tls)


def same_address(one: str, other: str) -> bool:
    """Return whether two addresses are the same, judging by their text."""
    return _canonical(one) == _canonical(other)


def on_this_machine(address: str) -> bool:
    """Return whether an address names this machine itself."""
    return _canonical(address)[0].startswith("127.")


def _canonical(address: str) -> tuple[str, str]:
    host, _, port = address.removeprefix("dns:").lstrip("/").rpartition(":")
    return "127.0.0.1" if host in _THIS_MACHINE else host, port


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _runs(pid: int) -> bool:
    if os.name != "posix":  # elsewhere os.kill ends the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True
