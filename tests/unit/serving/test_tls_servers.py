"""TLS over real sockets: which callers are admitted, and which certificate a new connection gets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import urllib.request
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
import uvloop
from starlette.responses import PlainTextResponse

from serving.http_server import HttpServer, bind
from serving.metrics_server import serve_metrics
from serving.tls_servers import socket_context
from tests.unit.serving.certified import Certified, echo_server, served_certificate

TIMEOUT_SECONDS = 20.0


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    return Certified(tmp_path / "certs")


async def call(address: str, credentials: grpc.ChannelCredentials) -> grpc.StatusCode:
    async with grpc.aio.secure_channel(address, credentials) as channel:
        try:
            await channel.unary_unary("/example.Echo/Caller")(b"", timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


async def test_callers_need_a_certificate_of_the_authority(certified: Certified, tmp_path: Path) -> None:
    foreign = Certified(tmp_path / "foreign")
    certified.folder.add("expired", days=-0.001)
    async with echo_server(certified.files()) as echo:
        roots = certified.file("ca.crt").read_bytes()
        of_foreigner = grpc.ssl_channel_credentials(
            roots, foreign.file("client.key").read_bytes(), foreign.file("client.crt").read_bytes()
        )
        assert await call(echo.address, certified.credentials()) is grpc.StatusCode.OK
        for refused in (grpc.ssl_channel_credentials(roots), of_foreigner, certified.credentials("expired")):
            assert await call(echo.address, refused) is grpc.StatusCode.UNAVAILABLE
        assert await call(echo.address, foreign.credentials()) is grpc.StatusCode.UNAVAILABLE, "it trusts another"


async def test_the_certificate_must_be_for_the_host(certified: Certified) -> None:
    certified.folder.add("server", ["elsewhere.example"], overwrite=True)
    async with echo_server(certified.files()) as echo:
        assert await call(echo.address, certified.credentials()) is grpc.StatusCode.UNAVAILABLE


async def test_the_next_connection_gets_the_new_certificate_and_authorities(
    certified: Certified, tmp_path: Path
) -> None:
    files = certified.files()
    async with echo_server(files) as echo:
        assert await call(echo.address, certified.credentials()) is grpc.StatusCode.OK
        former = certified.credentials()
        certified.folder.make(overwrite=True)
        files.look()
        assert await call(echo.address, certified.credentials()) is grpc.StatusCode.OK
        assert await served_certificate(echo.address) == certified.file("server.crt").read_text()
        assert await call(echo.address, former) is grpc.StatusCode.UNAVAILABLE


@asynccontextmanager
async def http_server(context: ssl.SSLContext) -> AsyncIterator[str]:
    listening = bind("127.0.0.1", 0)
    server = HttpServer(listening, PlainTextResponse("hello"), context)
    task = asyncio.create_task(server.serve())
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stop(1.0)
        await task


def client_context(certified: Certified, name: str = "client") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certified.file("ca.crt"))
    if name:
        context.load_cert_chain(certified.file(f"{name}.crt"), certified.file(f"{name}.key"))
    return context


def fetch(address: str, context: ssl.SSLContext) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(f"https://{address}/", timeout=TIMEOUT_SECONDS) as response:
        body: bytes = response.read()
    return body


@pytest.mark.parametrize("runs", [asyncio.run, uvloop.run])
def test_http_has_the_same_rules(certified: Certified, runs) -> None:  # type: ignore[no-untyped-def]
    certified.folder.add("expired", days=-0.001)

    async def check() -> None:
        files = certified.files()
        async with http_server(socket_context(files, wants_certificates=True)) as address:
            assert await asyncio.to_thread(fetch, address, client_context(certified)) == b"hello"
            for refused in ("", "expired"):
                with pytest.raises(OSError):  # noqa: PT011 — as the system words it
                    await asyncio.to_thread(fetch, address, client_context(certified, refused))
            former = client_context(certified)
            certified.folder.make(overwrite=True)
            files.look()
            assert await asyncio.to_thread(fetch, address, client_context(certified)) == b"hello"
            assert await served_certificate(address) == certified.file("server.crt").read_text()
            former.check_hostname, former.verify_mode = False, ssl.CERT_NONE
            with pytest.raises(OSError):  # noqa: PT011
                await asyncio.to_thread(fetch, address, former)

    runs(check())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_that_is_resumed_does_not_outlast_the_authority(
    certified: Certified, version: ssl.TLSVersion
) -> None:
    files, former = certified.files(), client_context(certified)
    former.minimum_version = former.maximum_version = version
    former.check_hostname, former.verify_mode = False, ssl.CERT_NONE
    async with http_server(socket_context(files, wants_certificates=True)) as address:
        session = await asyncio.to_thread(exchange, address, former)
        session = await asyncio.to_thread(exchange, address, former, session)
        certified.folder.make(overwrite=True)
        files.look()
        with pytest.raises(OSError):  # noqa: PT011 — as the system words it
            await asyncio.to_thread(exchange, address, former, session)
        former.load_cert_chain(certified.file("client.crt"), certified.file("client.key"))
        assert await asyncio.to_thread(exchange, address, former, session), "a new session begins"


def exchange(address: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSession | None:
    """Send a request, perhaps in a session of before, and return the session; raises `OSError` if it is refused."""
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host, session=session) as encrypted,
    ):
        encrypted.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        if not encrypted.recv(1):
            raise ConnectionResetError
        while encrypted.recv(4_096):
            pass
        return encrypted.session


async def test_old_versions_of_tls_are_refused(certified: Certified) -> None:
    files = certified.files()
    old, oldest_allowed = (of_version(certified, each) for each in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2))
    async with (
        http_server(socket_context(files, wants_certificates=False)) as http,
        echo_server(files, wants_certificates=False) as echo,
    ):
        for address in (http, echo.address):
            with pytest.raises(ssl.SSLError):
                await asyncio.to_thread(shake_hands, address, old)
            await asyncio.to_thread(shake_hands, address, oldest_allowed)


def of_version(certified: Certified, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = client_context(certified)
    context.set_ciphers("ALL:@SECLEVEL=0")  # else the client itself would refuse old versions
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = version
    return context


def shake_hands(address: str, context: ssl.SSLContext) -> None:
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host),
    ):
        pass


def test_metrics_are_encrypted_too(certified: Certified) -> None:
    port = serve_metrics("127.0.0.1", 0, socket_context(certified.files(), wants_certificates=True))
    assert b"semsearch_tls_certificate_expiry_timestamp_seconds" in fetch(
        f"127.0.0.1:{port}", client_context(certified)
    )
    with pytest.raises(OSError):  # noqa: PT011
        fetch(f"127.0.0.1:{port}", client_context(certified, ""))
