"""How long a small call over HTTP waits while large bodies are read: `python -m benchmarks.http_bodies`.

A process offers the gateway's RPCs over HTTP, with a servicer that does nothing. Large requests come one after the
other, and beside them a small one every 10 ms. On a busy machine the times say little; the pause does not depend on
other processes: it is the processor time that the process takes while its event loop does not get a turn.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import logging
import multiprocessing
import os
import threading
import time
from typing import Any

import structlog
import uvloop
from semsearch.v1 import gallery_service_pb2 as pb

from gateway.web.rpcs import Rpcs
from serving.http_server import HttpServer, bind

_SERVICE = pb.DESCRIPTOR.services_by_name["GalleryService"]
_PATH = f"/{_SERVICE.full_name}"
_MESSAGE_BYTES = 64 * 2**20
_ROUNDS = 5
_PAUSE_SECONDS, _TICK_SECONDS = 0.01, 0.001


class _Servicer:
    def __getattr__(self, name: str) -> Any:
        async def answer(request: object, context: object) -> Any:
            return getattr(pb, f"{name}Response")()

        return answer


def _serve(ports: Any, longest_pause: Any) -> None:
    async def measure() -> None:
        while True:
            began = time.process_time()
            await asyncio.sleep(_TICK_SECONDS)
            longest_pause.value = max(longest_pause.value, time.process_time() - began)

    async def serve() -> None:
        measuring = asyncio.create_task(measure())
        listening = bind("127.0.0.1", 0)
        server = HttpServer(listening, Rpcs({_SERVICE: _Servicer()}, {}, _MESSAGE_BYTES))
        ports.put(listening.getsockname()[1])
        await server.serve()
        measuring.cancel()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    uvloop.run(serve())


def _images(count: int, size: int) -> bytes:
    images = [{"content": base64.b64encode(os.urandom(size)).decode()} for _ in range(count)]
    return json.dumps({"images": images}).encode()


def _attributes(count: int) -> bytes:
    image = {"content": "AAAA", "attributes": {f"name-{number}": number for number in range(100)}}
    return json.dumps({"images": [image] * count}).encode()


def _call(connection: http.client.HTTPConnection, method: str, body: bytes) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    connection.request("POST", f"{_PATH}/{method}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    assert response.status == 200, response.status
    return time.perf_counter() - began


def _measure(port: int, body: bytes) -> tuple[list[float], list[float]]:
    """Return the seconds of the small calls, and those of the large ones beside them."""
    large: list[float] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        large.extend(_call(connection, "BatchIndexImages", body) for _ in range(_ROUNDS))

    sending = threading.Thread(target=send)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    _call(connection, "GetImage", b"{}")
    small: list[float] = []
    sending.start()
    while sending.is_alive():
        small.append(_call(connection, "GetImage", b"{}"))
        time.sleep(_PAUSE_SECONDS)
    return sorted(small), sorted(large)


def main() -> None:
    """Print a table."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    longest_pause = context.Value("d", 0.0)
    server = context.Process(target=_serve, args=(ports, longest_pause), daemon=True)
    server.start()
    port = ports.get()
    bodies = {
        "45 images of 0.75 MB": _images(45, 750_000),
        "one image of 33 MB": _images(1, 33_000_000),
        "100 images with 100 attributes": _attributes(100),
        "1,000 images with 100 attributes": _attributes(1_000),
    }
    print("| body | MB | longest pause | large call, median | small call, p50 | p99 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, body in bodies.items():
        longest_pause.value = 0.0
        small, large = _measure(port, body)
        p50, p99 = small[len(small) // 2], small[int(len(small) * 0.99)]
        times = [f"{each * 1_000:,.0f} ms" for each in (longest_pause.value, large[len(large) // 2], p50, p99)]
        print(f"| {name} | {len(body) / 1e6:.1f} | {' | '.join(times)} |")
    server.kill()


if __name__ == "__main__":
    main()
