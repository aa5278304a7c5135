"""Where the suite of the working folder listens.

While it runs, the launcher keeps a file in the data folder (`SEMSEARCH_DATA`, or else ./var) that says where:

    {"gateway": "127.0.0.1:50051", "index": "127.0.0.1:50053", "pid": 4711}

A launcher that was killed leaves the file behind, so its process is looked for too.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "suite.json"
# What a launcher that has run here once leaves in the data folder.
_TRACE = "launcher"
_THIS_MACHINE = {"localhost", "::1", "[::1]", "0.0.0.0", "::", "[::]"}  # noqa: S104 — recognised, not bound


@dataclass(frozen=True)
class Suite:
    """The addresses of a folder's suite, "" where they are not known; `is_stopped` if it has run, and does not now."""

    gateway: str = ""
    index: str = ""
    is_stopped: bool = False


def of_this_folder() -> Suite:
    """Return the suite whose data lie in, or are named by, the working folder's environment."""
    data = Path(os.environ.get("SEMSEARCH_DATA") or "var")
    try:
        written: Any = json.loads((data / FILE).read_text(encoding="utf-8"))
        gateway, index, pid = written["gateway"], written.get("index", ""), int(written["pid"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no file, or not one of ours
        return Suite(is_stopped=_exists(data / _TRACE))
    return Suite(str(gateway), str(index)) if _runs(pid) else Suite(is_stopped=True)


def same_address(one: str, other: str) -> bool:
    """Return whether two addresses are the same, as far as their text tells."""
    return _canonical(one) == _canonical(other)


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
