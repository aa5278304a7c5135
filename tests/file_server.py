"""A server of one file on a real socket, for tests, that can misbehave like real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEADLINE = 30.0


@dataclass
class FileServer:
    """The server's behaviour, which tests change between requests. `requests` holds each Range and If-Range."""

    content: bytes
    port: int = 0
    ranges: bool = True
    etag: str = '"one"'
    statuses: list[int] = field(default_factory=list)  # of the next responses; 200 is normal
    breaks: list[int] = field(default_factory=list)  # bytes after which the next responses break off
    length: int | None = None  # claimed instead of the right length
    chunked: bool = False  # whether responses have no length
    hold_after: int | None = None  # bytes after which it waits until `released` is set
    requests: list[tuple[str | None, str | None]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

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
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            served.released.set()
            server.shutdown()
            thread.join()


def _answer(request: BaseHTTPRequestHandler, served: FileServer) -> None:
    range_, condition = request.headers.get("Range"), request.headers.get("If-Range")
    served.requests.append((range_, condition))
    request.close_connection = True
    if served.statuses and (status := served.statuses.pop(0)) != 200:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    start = 0
    if range_ and served.ranges and condition in (None, served.etag):
        start = int(range_.removeprefix("bytes=").removesuffix("-"))
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
        first = served.hold_after  # read once, because the test may change it after the release
        if first is not None:
            request.wfile.write(body[:first])
            request.wfile.flush()
            served.held.set()
            assert served.released.wait(DEADLINE)
            body = body[first:]
        request.wfile.write(body)
    except (BrokenPipeError, ConnectionResetError):
        return  # the caller is gone
