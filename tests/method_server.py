"""A gRPC server that has only the methods that a test gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc


@contextmanager
def serving_methods(service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> Iterator[str]:
    """Serve a service's methods on a free port; yield the address."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_registered_method_handlers(service, dict(handlers))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
