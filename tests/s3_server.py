"""An S3 server for tests, in a process of its own, and a proxy in front of it that breaks answers."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.ports import free_ports

BUCKET = "images"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_START_SECONDS = 60.0
_TIME = re.compile(rb"<LastModified>[^<]*")
_LONG_AGO = b"<LastModified>2020-01-01T00:00:00.000Z"
_BROKEN = {
    "error": (500, b"<Error><Code>InternalError</Code></Error>"),
    "slow down": (503, b"<Error><Code>SlowDown</Code></Error>"),
    "denied": (403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
    "kept": (
        200,
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        b"</DeleteResult>",
    ),
}


def environment(url: str) -> dict[str, str]:
    """Return the variables with which clients reach the server at a URL."""
    return {"AWS_ENDPOINT_URL": url, **CREDENTIALS}


@contextmanager
def s3_server() -> Iterator[str]:
    """Run a server with an empty bucket `images`; yield its URL."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                requests.put(f"{url}/{BUCKET}", timeout=_START_SECONDS).raise_for_status()
                break
            except requests.ConnectionError:
                assert process.poll() is None
                assert time.monotonic() < deadline
        yield url
    finally:
        process.kill()
        process.wait()


class BreakingProxy:
    """A proxy that breaks the next answers as `breaks` says, one entry each, or all as `always` says.

    "error": status 500. "slow down": status 503, as S3 refuses for now. "denied": status 403. "reset": the connection
    ends without an answer. "half": the answer ends in the middle of its body. "hang": there is no answer until `close`.
    "kept": a deletion of several objects succeeds and deletes none. Other answers are passed on; while `is_late`, lists
    say that all objects are of long ago.
    """

    def __init__(self, server: str) -> None:
        self.breaks: deque[str] = deque()
        self.always = ""
        self.is_late = False
        self.broken = 0
        self.methods: list[str] = []
        self._closed = threading.Event()
        target = server.removeprefix("http://")
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.methods.append(self.command)
                kind = proxy.breaks.popleft() if proxy.breaks else proxy.always
                proxy.broken += bool(kind)
                if kind == "hang":
                    self.close_connection = True
                    proxy._closed.wait()
                    return
                upstream = http.client.HTTPConnection(target, timeout=60)
                upstream.request(self.command, self.path, body, dict(self.headers))
                response = upstream.getresponse()
                content = response.read()
                upstream.close()
                if proxy.is_late:
                    content = _TIME.sub(_LONG_AGO, content)
                if kind == "reset":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, content = _BROKEN.get(kind, (response.status, content))
                self.send_response(status)
                # The checksum and type of an object are not those of an error.
                for name, value in response.getheaders() if kind not in _BROKEN else ():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                size = response.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", size or "0")
                self.end_headers()
                if kind == "half":
                    self.close_connection = True
                    content = content[: len(content) // 2]
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 — the names of the base class

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> BreakingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
