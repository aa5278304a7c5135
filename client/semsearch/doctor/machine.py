"""Examine this machine: the versions of Python and of the packages, and the disk of the data folder."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version

from semsearch import suites
from semsearch.doctor.findings import Finding, note, ok, problem

_PACKAGES = ("semsearch", "grpcio", "protobuf")
# TensorFlow has wheels for these; `make run-all` checks it too.
_SUITE_PYTHONS = ((3, 11), (3, 13))
_LEAST_FREE_BYTES = 10**9


def examine_versions() -> Finding:
    """Return the versions of Python and of the client's packages."""
    text = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _PACKAGES)])
    oldest, newest = _SUITE_PYTHONS
    if not oldest <= sys.version_info[:2] <= newest:
        return note("versions", text, "The client runs on it; the suite needs Python 3.11, 3.12 or 3.13.")
    return ok("versions", text)


def examine_suite(suite: suites.Suite) -> Finding:
    """Return whether the folder's suite runs."""
    data = suites.data_folder()
    if suite.pid:
        return ok("suite", f"runs with data in {data.absolute()} (process {suite.pid})")
    text = (
        f"stopped; its data is in {data.absolute()}"
        if suite.is_stopped
        else f"none has run with data in {data.absolute()}"
    )
    return note(
        "suite", text, "Start it with `make run-all`, or set SEMSEARCH_DATA to the data folder of a running suite."
    )


def examine_disk(largest_index_bytes: int) -> Iterator[Finding]:
    """Yield whether the data folder can be written and has room for a merge of the largest index."""
    data = suites.data_folder()
    nearest = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        yield problem(
            "disk", f"{nearest} cannot be written", "Change its owner, or set SEMSEARCH_DATA to another folder."
        )
        return
    free = shutil.disk_usage(nearest).free
    text = f"{free / 1e9:,.1f} GB free for {data.absolute()}"
    if free < max(_LEAST_FREE_BYTES, largest_index_bytes):
        yield problem(
            "disk",
            f"{text}; a merge writes up to {largest_index_bytes / 1e9:,.1f} GB beside the existing data",
            "Make room, or move the folder and set SEMSEARCH_DATA: on a full disk, writes are refused.",
        )
    else:
        yield ok("disk", text)
