"""The folder of a suite's certificates: `ca.crt` and `ca.key`, and a `.crt` and a `.key` for each name.

Invariants:
- Keys are readable by their owner only, from the moment that they exist.
- A file is replaced as a whole. Readers may see a new certificate beside an old key for a moment, never half a file.
- Nothing is overwritten unless the caller asks for it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from semsearch.certificates.authority import AUTHORITY_DAYS, DAYS, Authority, Pair, general_name
from semsearch.errors import FolderStopped, InvalidRequest
from semsearch.private_files import replace_file

AUTHORITY = "ca"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# Under these, services find each other in deploy/compose.yaml and deploy/kubernetes; all answer to the last one.
SERVICE_HOSTS = (
    *("gateway", "embedder", "index"),
    *("semsearch-gateway", "semsearch-embedder", "semsearch-index"),
    "semsearch",
)
# Reasons of `FolderStopped`.
EXISTS, NOT_FOUND, UNUSABLE = "CERTIFICATE_EXISTS", "CERTIFICATE_NOT_FOUND", "CERTIFICATE_UNUSABLE"
FOREIGN = "CERTIFICATE_FOREIGN"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CERTIFICATE_MODE = 0o644


@dataclass(frozen=True)
class Described:
    """A certificate of the folder; one without `hosts` is for callers."""

    name: str
    hosts: tuple[str, ...]
    expires: datetime
    file: Path


class CertificateFolder:
    """Makes, renews and lists the certificates of one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def make(self, hosts: Sequence[str] = (), days: float = DAYS, *, overwrite: bool = False) -> None:
        """Make an authority, the certificate `server` for all services, and `client` for callers.

        `server` is valid for `hosts` and for the names of this machine and of the services.

        Raises:
            FolderStopped: The files exist, or cannot be written.
            InvalidRequest: A host is none.
        """
        self._check_hosts(hosts)
        if not overwrite:
            self._check_absent(AUTHORITY, "server", "client")
        authority = Authority.make("semsearch authority", AUTHORITY_DAYS)
        self._write(AUTHORITY, authority.pair)
        self._write("server", authority.issue("server", _distinct([*hosts, *own_hosts(), *SERVICE_HOSTS]), days))
        self._write("client", authority.issue("client", (), days))

    def add(self, name: str, hosts: Sequence[str] = (), days: float = DAYS, *, overwrite: bool = False) -> None:
        """Add the certificate of a service that is reached at `hosts`, or of a caller if there are none.

        Raises:
            FolderStopped: The files exist, or there is no authority that can sign, or something cannot be written.
            InvalidRequest: The name or a host is none.
        """
        if not _NAME.fullmatch(name) or name == AUTHORITY:
            raise InvalidRequest(f"{name!r} cannot name a certificate: use letters, digits, dots and hyphens.")
        self._check_hosts(hosts)
        if not overwrite:
            self._check_absent(name)
        self._write(name, self._authority().issue(name, hosts, days))

    def renew(self, names: Sequence[str] = (), days: float = DAYS) -> tuple[Described, ...]:
        """Replace certificates by new ones with new keys for the same hosts, and return them; the authority stays.

        By default, these are all that an authority in `ca.crt` signed. Those of others, and authorities, stay.

        Raises:
            FolderStopped: A certificate does not exist or is not from this authority, or there is no authority that
                can sign, or something cannot be written.
        """
        authority = self._authority()
        known = {each.name: each for each in self.certificates() if each.name != AUTHORITY}
        own = [name for name, each in known.items() if authority.may_renew(_loaded(each.file))]
        for name in names:
            if name not in known:
                raise FolderStopped(
                    f"{self.path} has no certificate {name!r}.", NOT_FOUND, f"It has {', '.join(known) or 'none'}."
                )
            if name not in own:
                raise FolderStopped(
                    f"{known[name].file} is not from an authority in ca.crt, and would be lost.",
                    FOREIGN,
                    "Whoever signed it renews it; `semsearch certs add --overwrite` replaces it by one of yours.",
                )
        for name in names or own:
            self._write(name, authority.issue(name, known[name].hosts, days))
        return tuple(each for each in self.certificates() if each.name in (names or own))

    def certificates(self) -> Iterator[Described]:
        """Yield the certificates of the folder, by name.

        Raises:
            FolderStopped: One cannot be read.
        """
        for file in sorted(self.path.glob("*.crt")):
            try:
                yield _described(file)
            except (OSError, ValueError) as error:
                raise FolderStopped(f"{file} is not a certificate, or cannot be read: {error}.", UNUSABLE) from error

    def _authority(self) -> Authority:
        certificate, key = self._files(AUTHORITY)
        try:
            return Authority.load(Pair(certificate.read_bytes(), key.read_bytes()))
        except OSError as error:
            key_is_away = certificate.exists() and not key.exists()
            raise FolderStopped(
                f"{self.path} has no authority that could sign: {error.filename}: {error.strerror}.",
                NOT_FOUND,
                f"Bring ca.key back to {self.path} for this command."
                if key_is_away
                else "`semsearch certs make` makes one.",
            ) from error
        except ValueError as error:
            raise FolderStopped(
                f"{certificate} and {key} cannot sign: {error}.",
                UNUSABLE,
                "ca.crt needs a valid certificate of the authority that has this key.",
            ) from error

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.path / f"{name}.crt", self.path / f"{name}.key"

    def _check_absent(self, *names: str) -> None:
        for file in (file for name in names for file in self._files(name)):
            if file.exists():
                raise FolderStopped(
                    f"{file} exists, and would be lost.",
                    EXISTS,
                    "`semsearch certs renew` renews certificates; --overwrite replaces the files.",
                )

    def _check_hosts(self, hosts: Sequence[str]) -> None:
        for host in hosts:
            try:
                general_name(host)
            except ValueError as error:
                raise InvalidRequest(f"{error}.") from error

    def _write(self, name: str, pair: Pair) -> None:
        certificate, key = self._files(name)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            replace_file(key, pair.key)
            replace_file(certificate, pair.certificate, _CERTIFICATE_MODE)
        except OSError as error:
            raise FolderStopped(
                f"{error.filename or self.path} cannot be written: {error.strerror}.", UNUSABLE
            ) from error


def own_hosts() -> tuple[str, ...]:
    """Return the names under which this machine reaches itself, and its own name."""
    name = socket.gethostname()
    return (*LOCAL_HOSTS, *([name] if _NAME.fullmatch(name) else []))


def _described(file: Path) -> Described:
    certificate = _loaded(file)
    return Described(file.stem, _hosts(certificate), certificate.not_valid_after_utc, file)


def _loaded(file: Path) -> x509.Certificate:
    """Return the certificate of a file; others that follow it, up to its authority, do not count."""
    return x509.load_pem_x509_certificate(file.read_bytes())


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the hosts that a certificate is for; none if it is for callers only."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    if ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def _distinct(hosts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(hosts))
