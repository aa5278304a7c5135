"""A server of one file on a real socket, for tests, that can do what real ones do wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEADLINE = 30.0


@dataclass
class FileServer:
    """What it does; a test changes it between requests. `asked` has the Range and If-Range of each request."""

    content: bytes
    port: int = 0
    ranges: bool = True
    etag: str = '"one"'
    statuses: list[int] = field(default_factory=list)  # of the next answers, if not the right one
    breaks: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    length: int | None = None  # what it claims instead of the right length
    chunked: bool = False  # without any length
    hold_after: int | None = None  # bytes after which it waits until `let_go`
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/models/backbone%20file.bin"


@contextmanager
def file_server(content: bytes) -> Iterator[FileServer]:
    served = FileServer(content)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, served)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            served.let_go.set()
            server.shutdown()
            thread.join()


def _answer(request: BaseHTTPRequestHandler, served: FileServer) -> None:
    asked, condition = request.headers.get("Range"), request.headers.get("If-Range")
    served.asked.append((asked, condition))
    request.close_connection = True
    if served.statuses and (status := served.statuses.pop(0)) != 200:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    start = 0
    if asked and served.ranges and condition in (None, served.etag):
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}")
    else:
        request.send_response(200)
    if served.etag:
        request.send_header("ETag", served.etag)
    body = served.content[start:]
    if not served.chunked:
        request.send_header("Content-Length", str(len(body) if served.length is None else served.length))
    request.end_headers()
    if served.breaks:
        body = body[: served.breaks.pop(0)]
    try:
        first = served.hold_after  # read once: the test changes it as soon as it lets go
        if first is not None:
            request.wfile.write(body[:first])
            request.wfile.flush()
            served.held.set()
            assert served.let_go.wait(DEADLINE)
            body = body[first:]
        request.wfile.write(body)
    except (BrokenPipeError, ConnectionResetError):
        return  # who asked has gone
