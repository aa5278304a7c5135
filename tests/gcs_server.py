"""A server of Google Cloud Storage's JSON API for tests: fake-gcs-server."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.needs import need
from tests.object_server import BUCKET, ObjectServer, running
from tests.ports import free_ports

_TOOLS = Path(__file__).parents[1] / ".tools" / "bin"


def _refusal(status: int, message: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": {"code": status, "message": message}}).encode()


GOOGLE = ObjectServer(
    scheme="gs",
    endpoint="STORAGE_EMULATOR_HOST",
    variables={},
    refusals={
        "error": _refusal(500, "Internal error encountered."),
        "slow down": _refusal(429, "The rate of requests exceeds the limit."),
        "denied": _refusal(403, "Access Denied"),
        "kept": _refusal(403, "Access Denied"),
    },
    time=re.compile(rb'"updated": ?"[^"]*'),
    long_ago=b'"updated":"2020-01-01T00:00:00.000Z',
)


@contextmanager
def gcs_server() -> Iterator[ObjectServer]:
    """Run a server with an empty bucket; skip or fail the test without the program, as `make gcs-server` builds it."""
    program = shutil.which("fake-gcs-server", path=f"{_TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    need(program is not None, "there is no fake-gcs-server: make gcs-server (needs Go)")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        str(program), "-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}", f"-external-url={url}",
        f"-public-host=127.0.0.1:{port}", "-data=",
    ]  # fmt: skip

    def make_bucket() -> requests.Response:
        return requests.post(f"{url}/storage/v1/b", json={"name": BUCKET}, timeout=60)

    with running(GOOGLE, command, url, make_bucket) as server:
        yield server
