"""An S3 server for tests: moto's."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from tests.object_server import BUCKET, ObjectServer, running
from tests.ports import free_ports

_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
S3 = ObjectServer(
    scheme="s3",
    endpoint="AWS_ENDPOINT_URL",
    variables={
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    },
    refusals={
        "error": (500, b"<Error><Code>InternalError</Code></Error>"),
        "slow down": (503, b"<Error><Code>SlowDown</Code></Error>"),
        "denied": (403, _DENIED),
        "kept": (200, b"<DeleteResult>" + _DENIED.replace(b"<Code>", b"<Key>a</Key><Code>") + b"</DeleteResult>"),
    },
    time=re.compile(rb"<LastModified>[^<]*"),
    long_ago=b"<LastModified>2020-01-01T00:00:00.000Z",
)


@contextmanager
def s3_server() -> Iterator[ObjectServer]:
    """Run a server with an empty bucket."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(S3, command, url, lambda: requests.put(f"{url}/{BUCKET}", timeout=60)) as server:
        yield server
