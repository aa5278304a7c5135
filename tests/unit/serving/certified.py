"""Certificates made for tests, and servers in this process that use them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
from semsearch.certificates.folder import CertificateFolder

from serving.tls import CertificateFiles
from serving.tls_servers import server_credentials


class Certified:
    """A folder of certificates, and the files in it as a process uses them."""

    def __init__(self, folder: Path) -> None:
        self.folder = CertificateFolder(folder)
        self.folder.make()

    def file(self, name: str) -> Path:
        return self.folder.path / name

    def files(self, name: str = "server", *, authorities: bool = True) -> CertificateFiles:
        ca = self.file("ca.crt") if authorities else None
        return CertificateFiles(self.file(f"{name}.crt"), self.file(f"{name}.key"), ca)

    def credentials(self, name: str = "client") -> grpc.ChannelCredentials:
        key, chain = (self.file(f"{name}.{kind}").read_bytes() for kind in ("key", "crt"))
        return grpc.ssl_channel_credentials(self.file("ca.crt").read_bytes(), key, chain)


class Echo:
    """Answers calls with the caller's certificate, and streams with each message that arrives."""

    def __init__(self) -> None:
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def caller(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        pem: bytes = context.auth_context().get("x509_pem_cert", [b""])[0]
        return pem

    async def stream(
        self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request


@asynccontextmanager
async def echo_server(files: CertificateFiles, *, wants_certificates: bool = True) -> AsyncIterator[Echo]:
    echo, server = Echo(), grpc.aio.server()
    handlers = {
        "Caller": grpc.unary_unary_rpc_method_handler(echo.caller),
        "Stream": grpc.stream_stream_rpc_method_handler(echo.stream),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("example.Echo", handlers)])
    echo.port = server.add_secure_port("127.0.0.1:0", server_credentials(files, wants_certificates=wants_certificates))
    await server.start()
    try:
        yield echo
    finally:
        await server.stop(None)


async def served_certificate(address: str) -> str:
    """Return the certificate that a server shows to a new connection, as PEM."""
    host, _, port = address.rpartition(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
