"""Serve TLS, and use a replaced certificate from the next handshake on.

gRPC asks for a changed certificate before each handshake. Python's `ssl` has nothing of the kind, so each connection is
made with a context that has the newest certificate and the newest authorities.

TLS begins with version 1.2: gRPC has no older one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from typing_extensions import override

from serving.http_settings import HttpSettings
from serving.settings import ServiceSettings
from serving.tls import CertificateFiles, Certificates, files_of, http_files_of


@dataclass(frozen=True)
class Encryption:
    """The encryption of a process's ports; None stands for plaintext.

    `certificates` are those of the process, which it also shows to other services. `own_port` is the port for other
    processes of the same service, whoever else may call without a certificate.
    """

    certificates: CertificateFiles | None
    port: grpc.ServerCredentials | None = None
    own_port: grpc.ServerCredentials | None = None
    metrics: ssl.SSLContext | None = None
    http: ssl.SSLContext | None = None
    http_certificates: CertificateFiles | None = None

    @classmethod
    def of(cls, settings: ServiceSettings) -> Encryption:
        """Read the files that settings name.

        Raises:
            CertificateError: They cannot be used.
        """
        files = files_of(settings)
        http = http_files = None
        if isinstance(settings, HttpSettings) and (http_files := http_files_of(settings) or files):
            http = socket_context(http_files, wants_certificates=settings.http_wants_certificates)
        if files is None:
            return cls(None, http=http, http_certificates=http_files)
        wanted = settings.wants_certificates
        return cls(
            files,
            server_credentials(files, wants_certificates=wanted),
            server_credentials(files, wants_certificates=bool(settings.tls_ca)),
            socket_context(files, wants_certificates=wanted),
            http,
            http_files,
        )

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Use files that are replaced, as long as the context lasts."""
        files = {each for each in (self.certificates, self.http_certificates) if each is not None}
        tasks = [asyncio.create_task(each.keep_following()) for each in files]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def add_port(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    """Have a server listen at an address, encrypted if there are credentials, and return the port.

    Raises:
        RuntimeError: The port is in use or may not be opened.
    """
    return server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)


def server_credentials(files: CertificateFiles, *, wants_certificates: bool) -> grpc.ServerCredentials:
    """Return the credentials of a gRPC port; with `wants_certificates`, callers without one are refused."""
    used = files.current

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        if (current := files.current) is used:
            return None
        used = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(_configuration(used), changed, wants_certificates)  # type: ignore[arg-type] # None: no change


def socket_context(files: CertificateFiles, *, wants_certificates: bool) -> ssl.SSLContext:
    """Return the context of a port for HTTP/1.1; with `wants_certificates`, callers without one are refused."""
    return _Newest(files, wants_certificates)


class _Newest(ssl.SSLContext):
    """The context of a port: its connections are those of a context with the newest certificates.

    Each set of certificates has a context of its own, with the sessions that began with it. So no session outlasts the
    authorities that its caller's certificate was checked with: OpenSSL would resume it without another check.
    """

    _files: CertificateFiles
    _wants_certificates: bool
    _used: Certificates
    _context: ssl.SSLContext

    def __new__(cls, files: CertificateFiles, wants_certificates: bool) -> _Newest:
        self = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        self._files = files
        self._wants_certificates = wants_certificates
        self._used = files.current
        self._context = _context(self._used, wants_certificates)
        return self

    @override
    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self._newest().wrap_bio(*arguments, **options)

    @override
    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return self._newest().wrap_socket(*arguments, **options)

    def _newest(self) -> ssl.SSLContext:
        if self._files.current is not self._used:
            self._used = self._files.current
            self._context = _context(self._used, self._wants_certificates)
        return self._context


def _context(certificates: Certificates, wants_certificates: bool) -> ssl.SSLContext:
    # The sockets' own context has no rule on callers, so it is taken for its certificates only.
    def use(connection: ssl.SSLObject, host: str | None, context: ssl.SSLContext) -> None:
        connection.context = certificates.context

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if wants_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
    # A resumed session would skip the check of a certificate that has expired since. Without tickets TLS 1.3 resumes
    # none; TLS 1.2 still may.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.sni_callback = use
    return context


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificates.key, certificates.chain)], certificates.authorities)
