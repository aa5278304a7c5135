"""A proxy in front of an object store that breaks answers."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.object_server import ObjectServer


class BreakingProxy:
    """A proxy that breaks the next answers as `breaks` says, one entry each, or all as `always` says.

    "error": status 500. "slow down": the store refuses for now. "denied": status 403. "kept": a deletion is refused.
    "reset": the connection ends without an answer. "half": the answer ends in the middle of its body. "stall": it stops
    there, and the connection stays open until `close`. "hang": there is no answer until `close`. Other answers are
    passed on; while `is_late`, lists say that all objects are of long ago.
    """

    def __init__(self, server: ObjectServer) -> None:
        self.server = server
        self.breaks: deque[str] = deque()
        self.always = ""
        self.is_late = False
        self.broken = 0
        self.methods: list[str] = []
        self.authorizations: set[str] = set()
        self._closed = threading.Event()
        target = server.url.removeprefix("http://")
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.methods.append(self.command)
                proxy.authorizations.add(self.headers.get("Authorization", ""))
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
                    content = server.time.sub(server.long_ago, content)
                if kind == "reset":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, content = server.refusals.get(kind, (response.status, content))
                self.send_response(status)
                # The checksum and type of an object are not those of an error.
                for name, value in response.getheaders() if kind not in server.refusals else ():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                size = response.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", size or "0")
                self.end_headers()
                if kind in ("half", "stall"):
                    self.close_connection = True
                    content = content[: len(content) // 2]
                if self.command != "HEAD":
                    self.wfile.write(content)
                if kind == "stall":
                    proxy._closed.wait()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 — the names of the base class

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        # How often it looks for `close`, in seconds.
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> BreakingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
