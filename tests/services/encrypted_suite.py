"""A whole suite that encrypts every hop, callers that never pause, and counts of what became of their calls.

The hops: callers to two gateway processes over gRPC and HTTP, one gateway to the other, gateways to an embedder of
colours (in this process: the real one takes long to start), to the index and to a read replica, and metrics.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from semsearch import Client, SemsearchError, Tls, Upload
from semsearch.certificates.folder import CertificateFolder

from serving.tls import CertificateFiles
from serving.tls_servers import server_credentials
from tests.ports import free_ports
from tests.services.gateway_stack import color_embedder
from tests.services.service_process import ServiceProcess, service_process
from tests.unit.gateway.doubles import picture

IMAGES = [picture("red", seed=number) for number in range(8)]
SECONDS = 60.0
SEARCH = "/semsearch.v1.SearchService/SearchByText"


class EncryptedSuite:
    """The processes by name, and their ports by what they are for."""

    def __init__(self, root: Path) -> None:
        self.certificates = CertificateFolder(root / "certs")
        self.certificates.make()
        self._root = root
        self.processes: dict[str, ServiceProcess] = {}
        index, replica, self._embedder, shared, first, second, http, *metrics = free_ports(11)
        self.gateway = f"127.0.0.1:{shared}"
        self.http = http
        self.metrics = metrics
        self.ports = (index, replica, self._embedder, shared, first, second, http, *metrics)
        one = (
            f"--port={shared}",
            f"--http-port={http}",
            "--processes=2",
            f"--index=127.0.0.1:{index}",
            f"--index-replicas=127.0.0.1:{replica}",
            f"--embedder=127.0.0.1:{self._embedder}",
        )
        place = f"file://{root / 'published'}"
        self._commands = {
            "index": ("index_service", root, f"--port={index}", f"--publish={place}", "--replication-seconds=0.2"),
            "replica": ("index_service", root / "replica", f"--port={replica}", f"--replica-of={place}"),
            "gateway 1": ("gateway", root, *one, f"--own-port={first}"),
            "gateway 2": ("gateway", root, *one, f"--own-port={second}"),
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        # Connections end every few seconds, so that new ones are made all the time.
        shared = ["--max-connection-age-seconds=3"]
        shared += [
            f"--tls-{name}={self.file(file)}"
            for name, file in (("cert", "server.crt"), ("key", "server.key"), ("ca", "ca.crt"))
        ]
        processes = {
            name: service_process(module, data, *flags, *shared, f"--metrics-port={port}")
            for port, (name, (module, data, *flags)) in zip(self.metrics, self._commands.items(), strict=True)
        }
        with ExitStack() as exits, ThreadPoolExecutor(len(processes)) as started:
            exits.enter_context(self._serving_colors())
            self.processes.update(zip(processes, started.map(exits.enter_context, processes.values()), strict=True))
            yield

    @contextmanager
    def _serving_colors(self) -> Iterator[None]:
        """Serve an embedder of colours in a thread with a loop of its own."""
        files = CertificateFiles(self.file("server.crt"), self.file("server.key"), self.file("ca.crt"))
        loop, stop = asyncio.new_event_loop(), asyncio.Event()

        async def serve() -> None:
            following = asyncio.create_task(files.keep_following())
            async with color_embedder(self._embedder, server_credentials(files, wants_certificates=True)):
                await stop.wait()
            following.cancel()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

    def file(self, name: str) -> Path:
        return self.certificates.path / name

    def tls(self, name: str = "client") -> Tls:
        return Tls(self.file("ca.crt"), self.file(f"{name}.crt"), self.file(f"{name}.key"))

    def client(self) -> Client:
        return Client(self.gateway, tls=self.tls())

    def shown_certificates(self) -> list[str]:
        """Return the certificate that each port shows to a new connection, as PEM."""
        return [ssl.get_server_certificate(("127.0.0.1", port), timeout=SECONDS) for port in self.ports]

    def events(self, event: str) -> dict[str, int]:
        """Return how often each process has logged an event."""
        wanted = f'"event": "{event}"'
        return {name: sum(wanted in line for line in each.lines) for name, each in self.processes.items()}

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"not within {SECONDS:g} s: {what}"
            time.sleep(0.05)


class Load:
    """Callers that never pause: `ended` counts their calls that succeeded, by kind, and `failed` has the errors."""

    def __init__(self, suite: EncryptedSuite) -> None:
        self._suite = suite
        self.ended: Counter[str] = Counter()
        self.failed: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        kinds = (self._search, self._search, self._search_anew, self._upload, self._upload, self._post, self._scrape)
        threads = [threading.Thread(target=each, name=each.__name__) for each in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until each kind of call has been answered that often again."""
        before = Counter(self.ended)
        kinds = {"search", "search on a new channel", "image of a stream", "HTTP", "metrics"}
        self._suite.wait_until(
            lambda: bool(self.failed) or all(self.ended[kind] >= before[kind] + count for kind in kinds), "more calls"
        )

    def _count(self, kind: str) -> None:
        with self._lock:
            self.ended[kind] += 1

    def _fail(self, kind: str, error: object) -> None:
        with self._lock:
            self.failed.append(f"{kind}: {type(error).__name__}: {error}")

    def _search(self) -> None:
        with self._suite.client() as client:
            while not self._stop.is_set():
                self._try("search", lambda: client.search_by_text("red", min_relevance=0.0))

    def _search_anew(self) -> None:
        def search() -> None:
            with self._suite.client() as client:
                client.search_by_text("green", min_relevance=0.0)

        while not self._stop.is_set():
            self._try("search on a new channel", search)

    def _try(self, kind: str, call: Callable[[], object]) -> None:
        try:
            call()
        except (SemsearchError, OSError, HTTPException) as error:
            self._fail(kind, error)
        else:
            self._count(kind)

    def _upload(self) -> None:
        """Add images over one stream, which lasts as long as the load."""

        def uploads() -> Iterator[Upload]:
            number = 0
            while not self._stop.wait(0.02):
                yield Upload(picture("green", seed=number), id=f"{threading.get_ident()}-{number}")
                number += 1

        try:
            with self._suite.client() as client:
                for result in client.index_images(uploads()):
                    if result.error:
                        self._fail("image of a stream", result.error)
                    else:
                        self._count("image of a stream")
        except SemsearchError as error:
            self._fail("stream", error)
        else:
            self._count("stream")

    def _post(self) -> None:
        body = json.dumps({"query": "red", "minRelevance": 0})
        while not self._stop.is_set():
            self._try("HTTP", lambda: self._fetch(self._suite.http, "POST", SEARCH, body))

    def _scrape(self) -> None:
        while not self._stop.is_set():
            for port in self._suite.metrics:
                self._try("metrics", lambda port=port: self._fetch(port, "GET", "/metrics"))  # type: ignore[misc]
            self._stop.wait(0.1)

    def _fetch(self, port: int, method: str, path: str, body: str | None = None) -> None:
        connection = HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=self._suite.tls().context())
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            if response.status != 200:
                raise HTTPException(f"{response.status}: {response.read()!r}")
            response.read()
        finally:
            connection.close()


def admits(port: int, context: ssl.SSLContext) -> bool:
    """Return whether a port serves a caller after the handshake, which does not show callers a refusal."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
        ):
            encrypted.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            return bool(encrypted.recv(1))
    except (ssl.SSLError, ConnectionError):
        return False
