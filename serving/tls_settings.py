"""Settings of encrypted connections."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings


class TlsSettings(BaseSettings):
    """Settings that all services share, so that they trust each other."""

    tls_cert: str = Field(
        "",
        description="PEM file with the certificate of this process. With it, gRPC, HTTP and metrics are encrypted, and "
        "so are calls to other services. It is read again when it changes.",
    )
    tls_key: str = Field(
        "", validate_default=True, description="PEM file with the key of that certificate, without a password."
    )
    tls_ca: str = Field(
        "",
        description="PEM file with the authorities that sign the suite's certificates. With it, callers must show a "
        "certificate that one of them signed. Empty: other services are checked with the authorities that come with "
        "gRPC.",
    )
    tls_server_name: str = Field(
        "",
        description="A name that the certificates of all services have, if they lack the hosts of their addresses, for "
        "example because services are reached by IP addresses that change.",
    )

    @field_validator("tls_key")
    @classmethod
    def _belongs_to_certificate(cls, path: str, info: ValidationInfo) -> str:
        return together(path, info.data.get("tls_cert"), "SEMSEARCH_TLS_CERT")

    @field_validator("tls_ca")
    @classmethod
    def _comes_with_certificate(cls, path: str, info: ValidationInfo) -> str:
        if path and not info.data.get("tls_cert"):
            raise ValueError("authorities are for encrypted connections; set SEMSEARCH_TLS_CERT too")
        return path


def together(key: str, certificate: str | None, variable: str) -> str:
    """Return the file of a key, which needs that of a certificate.

    Raises:
        ValueError: Only one of them is set; `variable` names the certificate.
    """
    if bool(key) != bool(certificate):
        raise ValueError(f"a certificate and its key go together: set this and {variable}, or neither")
    return key
