"""The certificates of a process: read from files, and read again when these change.

Invariants:
- `CertificateFiles.current` is always one consistent set: the key belongs to the certificate, and both come from one
  reading. A set that is unusable or expired does not replace one that is good.
- Each new handshake uses `current`; connections that exist keep what they began with.
- Files are looked at once a second, off the event loop. They may be replaced one by one: a set that does not fit
  together counts as an error only if it is still there at the next look.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from prometheus_client import Gauge
from typing_extensions import override

from serving.http_settings import HttpSettings
from serving.settings import ServiceSettings
from serving.watched_file import Watched, problem_of, read_file

_WARN_AGAIN = timedelta(days=1)
# Certificates that live for weeks or less are usually renewed with a third of their time left.
_WARN_BEFORE = timedelta(days=14)
_WARN_SHARE = 4
_NEVER = datetime.min.replace(tzinfo=UTC)
_RENEW = "Renew it, for example with `semsearch certs renew`; no restart is needed."
_REPLACE = (
    "No connection succeeds after the end of an authority. Add a new one to the file on all machines, and then replace "
    "what the old one signed; no restart is needed."
)

_EXPIRES = Gauge(
    "semsearch_tls_certificate_expiry_timestamp_seconds",
    "When a certificate or an authority in use expires, by its file.",
    ["file"],
)
_UNUSABLE = Gauge(
    "semsearch_tls_files_unusable", "Whether changed certificate files are unusable, so older ones serve.", ["file"]
)

log = structlog.get_logger(__name__)

# The certificate, its key, and the authorities.
_Contents: TypeAlias = tuple[bytes, bytes, bytes | None]


class CertificateError(Exception):
    """The file at `path` is missing or unusable; the message says why."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path


@dataclass(frozen=True)
class Validity:
    """When the certificate of a file is valid; `advice` says what to do before its end."""

    file: Path
    begins: datetime
    expires: datetime
    advice: str

    def ends_soon(self, now: datetime) -> bool:
        """Return whether it should have been replaced by now."""
        return self.expires - now < min(_WARN_BEFORE, (self.expires - self.begins) / _WARN_SHARE)


@dataclass(frozen=True, eq=False)
class Certificates:
    """What one reading of the files gave, as PEM; `context` has the same for sockets of Python's own.

    `names` are the hosts that the certificate is for. `authority` is about that of the authorities which ends first;
    while one replaces another of the same name, the one that ends last stands for both.
    """

    chain: bytes
    key: bytes = field(repr=False)
    authorities: bytes | None
    names: Sequence[str]
    own: Validity
    authority: Validity | None
    context: ssl.SSLContext = field(repr=False)

    @property
    def validities(self) -> tuple[Validity, ...]:
        """Of the certificate and, if there are authorities, of these."""
        return (self.own,) if self.authority is None else (self.own, self.authority)


class CertificateFiles(Watched[_Contents, Certificates]):
    """The files of a certificate, its key and the authorities of others, and their newest usable content."""

    def __init__(self, certificate: Path, key: Path, authorities: Path | None = None) -> None:
        """Read the files.

        Raises:
            CertificateError: They cannot be used.
        """
        self.certificate = certificate
        self._key = key
        self._authorities = authorities
        self._listeners: list[Callable[[], None]] = []
        self._warned: dict[Path, datetime] = {}
        event = "certificate files cannot be used; the last good ones serve"
        super().__init__(
            certificate, self._contents, self._certificates_in, CertificateError, event=event, one_by_one=True
        )
        self._measure()

    @property
    def current(self) -> Certificates:
        """The newest usable content."""
        return self.content

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called at each look, in the loop of `keep_following`; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def keep_following(self) -> None:
        """Read the files whenever they change; run until cancelled."""

        def tell(_: bool) -> None:
            for listener in tuple(self._listeners):
                listener()

        await self.keep_current(tell)

    @override
    def look(self) -> bool:
        """Read the files, and warn if something is about to expire; return whether there is another."""
        if is_new := super().look():
            self._warned.clear()
            log.info("certificate replaced", file=str(self.certificate), expires=self.current.own.expires.isoformat())
        self._measure()
        self._warn(datetime.now(UTC))
        return is_new

    def _measure(self) -> None:
        for each in self.current.validities:
            _EXPIRES.labels(str(each.file)).set(each.expires.timestamp())
        _UNUSABLE.labels(str(self.certificate)).set(bool(self.problem))

    def _warn(self, now: datetime) -> None:
        for each in self.current.validities:
            if each.ends_soon(now) and now - self._warned.get(each.file, _NEVER) > _WARN_AGAIN:
                self._warned[each.file] = now
                log.warning(
                    "certificate has expired" if now > each.expires else "certificate expires soon",
                    file=str(each.file),
                    expires=each.expires.isoformat(),
                    advice=each.advice,
                )

    def _contents(self) -> _Contents:
        authorities = None if self._authorities is None else _content(self._authorities)
        return _content(self.certificate), _content(self._key), authorities

    def _certificates_in(self, contents: _Contents) -> Certificates:
        chain, key, authorities = contents
        own = _certificates(chain, self.certificate)[0]
        begins, expires = own.not_valid_before_utc, own.not_valid_after_utc
        # A service starts with an expired one, and says so: started again, it then serves once the file is renewed.
        if self.has_content and not begins <= datetime.now(UTC) < expires:
            raise CertificateError(self.certificate, f"{self.certificate} is valid from {begins} to {expires} only.")
        authority = None
        if authorities is not None and self._authorities is not None:
            authority = _first_to_end(self._authorities, _certificates(authorities, self._authorities))
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateError(
                self._key, f"{self._key} is not a private key in PEM without a password: {error}."
            ) from error
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        if private.public_key().public_bytes(*form) != own.public_key().public_bytes(*form):
            raise CertificateError(
                self._key, f"The key in {self._key} is not the key of the certificate in {self.certificate}."
            )
        return Certificates(
            chain,
            key,
            authorities,
            _names(own),
            Validity(self.certificate, begins, expires, _RENEW),
            authority,
            self._context(authorities),
        )

    def _context(self, authorities: bytes | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self._key, password="")
            if authorities is not None:
                context.load_verify_locations(cadata=authorities.decode("ascii"))
        except (OSError, ValueError) as error:  # replaced just now
            raise CertificateError(
                self.certificate, f"{self.certificate} and its key cannot be used: {error}."
            ) from error
        return context


def files_of(settings: ServiceSettings) -> CertificateFiles | None:
    """Return the files that settings name; None if they name none.

    Raises:
        CertificateError: They cannot be used.
    """
    return _files(settings.tls_cert, settings.tls_key, settings.tls_ca)


def http_files_of(settings: HttpSettings) -> CertificateFiles | None:
    """Return the files of the HTTP port; None if it has none of its own.

    Raises:
        CertificateError: They cannot be used.
    """
    return _files(settings.http_tls_cert, settings.http_tls_key, settings.tls_ca)


def _files(certificate: str, key: str, authorities: str) -> CertificateFiles | None:
    if not certificate:
        return None
    return CertificateFiles(Path(certificate), Path(key), Path(authorities) if authorities else None)


def _content(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise CertificateError(path, f"{path} cannot be read: {problem_of(error)}.") from error


def _first_to_end(path: Path, authorities: Sequence[x509.Certificate]) -> Validity:
    """Return when the first of these authorities ends; of several with the same name, only the last to end counts."""
    last: dict[x509.Name, x509.Certificate] = {}
    for each in sorted(authorities, key=lambda each: each.not_valid_after_utc):
        last[each.subject] = each
    first = min(last.values(), key=lambda each: each.not_valid_after_utc)
    return Validity(path, first.not_valid_before_utc, first.not_valid_after_utc, _REPLACE)


def _certificates(pem: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateError(path, f"{path} has no certificate in PEM: {error}.") from error


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
