"""Configuration of all tests."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest
from hypothesis import settings

from model.networks.loading_tensorflow import load_tensorflow
from tests.gcs_server import gcs_server
from tests.object_server import ObjectServer
from tests.s3_server import s3_server

# A shell ignores SIGINT for tests that it runs in the background, and the processes that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Test files run in parallel, and each computes little: more threads would only wait for each other.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_threads, "1")

# No test depends on how fast the machine is.
settings.register_profile("any-speed", deadline=None)
settings.load_profile("any-speed")


class _TensorFlowFirst(MetaPathFinder):
    """Load TensorFlow before usearch: in the opposite order they share C++ symbols, and TensorFlow's converter fails.

    No process of the product loads both, but one that tests several packages does.
    """

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "usearch":
            load_tensorflow()


sys.meta_path.insert(0, _TensorFlowFirst())

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _without_skips(report: Report) -> Report:
    """Return the report; in CI, turn a skip into a failure."""
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"In CI nothing may be skipped. {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _without_skips((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _without_skips((yield))


@pytest.fixture(scope="session", autouse=True)
def client_state(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """Let the client remember nothing of other runs, nor of the user's own folders."""
    with pytest.MonkeyPatch.context() as patch:
        # Processes that are started without the variables of the suite get it too.
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("SEMSEARCH_CLIENT_STATE", raising=False)
        yield


@pytest.fixture(scope="session")
def s3() -> Iterator[ObjectServer]:
    """Run an S3 server that all tests share; each takes a prefix or a bucket of its own."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def gcs() -> Iterator[ObjectServer]:
    """Run a server of Google Cloud Storage, shared as that of S3."""
    with gcs_server() as server:
        yield server


@pytest.fixture
def new_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return what returns the URL of an empty place of objects of a kind: "folder", "memory", "s3" or "gcs"."""

    def url_of(kind: str) -> str:
        name = uuid.uuid4().hex
        if kind in ("folder", "memory"):
            return str(tmp_path / name) if kind == "folder" else f"memory://{name}"
        server: ObjectServer = request.getfixturevalue(kind)
        for variable, value in server.environment().items():
            monkeypatch.setenv(variable, value)
        return server.place(name)

    return url_of
