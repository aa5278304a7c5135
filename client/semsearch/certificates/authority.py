"""An authority, and the certificates that it signs.

Keys are on the curve P-256, which every TLS library knows. A certificate for services is good for both sides of a
connection, because services call each other; one for callers is not for servers, so nobody can pose as
a service with it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3_650
DAYS = 365
# The clock of another machine may be behind.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Authority:
    """A certificate that may sign others, and its key; `known` are all certificates of its file."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    known: tuple[x509.Certificate, ...]

    @classmethod
    def make(cls, name: str, days: float = AUTHORITY_DAYS) -> Authority:
        """Make an authority that may sign certificates, but no further authorities."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        begun = (
            _begun(subject, subject, key.public_key(), datetime.now(UTC) + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        certificate = begun.sign(key, hashes.SHA256())
        return cls(certificate, key, (certificate,))

    @classmethod
    def load(cls, pair: Pair) -> Authority:
        """Return the authority that has the key; while one replaces another, the file has the certificates of both.

        Raises:
            ValueError: None has the key, or that one has expired, or something is unreadable.
        """
        try:
            key = serialization.load_pem_private_key(pair.key, password=None)
            known = x509.load_pem_x509_certificates(pair.certificate)
            signers = [each for each in known if each.public_key() == key.public_key()]
        except (TypeError, UnsupportedAlgorithm) as error:  # a key with a password, or of another kind
            raise ValueError(str(error)) from error
        if not (signers and isinstance(key, ec.EllipticCurvePrivateKey)):
            raise ValueError("the key has no certificate there, or is not on an elliptic curve")
        signer = max(signers, key=lambda each: each.not_valid_after_utc)
        if signer.not_valid_after_utc <= datetime.now(UTC):
            raise ValueError(f"the authority expired at {signer.not_valid_after_utc}")
        return cls(signer, key, tuple(known))

    @property
    def pair(self) -> Pair:
        """Both as PEM."""
        return _pair(self.certificate, self.key)

    def issue(self, name: str, hosts: Sequence[str], days: float = DAYS) -> Pair:
        """Sign a certificate: for a service that is reached at `hosts` (names, IP addresses), or a caller if none.

        It ends with the authority, if that has fewer than `days` left.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        # A caller is known by this name; without a subject alternative name, some libraries see none.
        names = [general_name(host) for host in hosts] or [x509.DNSName(name)]
        expires = min(datetime.now(UTC) + timedelta(days=days), self.certificate.not_valid_after_utc)
        begun = (
            _begun(_named(name), self.certificate.subject, key.public_key(), expires)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
                ),
                critical=False,
            )
        )
        return _pair(begun.sign(self.key, hashes.SHA256()), key)

    def may_renew(self, certificate: x509.Certificate) -> bool:
        """Return whether a certificate is of a service or a caller, and was signed by one of `known`."""
        try:
            signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            signs = False
        return not signs and any(_signed(certificate, each) for each in self.known)


def general_name(host: str) -> x509.GeneralName:
    """Return a host as it is written into a certificate.

    Raises:
        ValueError: It is neither a name nor an IP address.
    """
    bare = host.strip("[]")
    try:
        return x509.IPAddress(ipaddress.ip_address(bare))
    except ValueError:
        if not bare or any(each in bare for each in "/: "):
            raise ValueError(
                f"{host!r} is not a host: write a name or an IP address, without scheme and port"
            ) from None
        return x509.DNSName(bare)


def _signed(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, expires: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _CLOCK_SKEW)
        .not_valid_after(expires)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
