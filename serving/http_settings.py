"""Settings of a service that is reached over HTTP too."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from serving.settings import ServiceSettings, listed
from serving.tls_settings import together

# As browsers send them: no path, and the port only if it is not the scheme's own.
_ORIGIN = re.compile(r"https?://[^/\s:]+(:\d+)?")
_HOST = re.compile(r"[A-Za-z0-9._-]+")


class HttpSettings(ServiceSettings):
    """Settings of a service that is reached over HTTP too."""

    live: ClassVar[frozenset[str]] = ServiceSettings.live | {"http_max_connections_per_address"}

    http_port: int = Field(0, ge=-1, le=65535, description="HTTP port; 0 takes a free one, -1 is off.")
    http_allowed_origins: str = Field(
        "",
        description="Origins of other web pages that may call the service, such as https://photos.example, with "
        "commas between them; * is any. Its own page may always call it.",
    )
    http_allowed_hosts: str = Field(
        "",
        description="Host names that the service answers to, with commas between them. Empty is any, or only localhost "
        "where it listens on a loopback address. It always answers to IP addresses.",
    )

    http_max_connections_per_address: int = Field(
        256,
        ge=1,
        le=2**31 - 1,
        description="HTTP connections of one address, of 512 in all; a proxy in front counts as one address.",
    )
    http_pending_bytes: int = Field(
        256 * 2**20,
        ge=1,
        description="Bytes of request bodies that HTTP may have in memory, at most half of them for one address; "
        "at least four times `max_message_bytes`, whatever is set.",
    )
    http_tls_cert: str = Field(
        "", description="PEM file with another certificate for HTTP, such as one that browsers trust by themselves."
    )
    http_tls_key: str = Field("", validate_default=True, description="PEM file with the key of that certificate.")
    http_tls_callers: Literal["certificate", "any"] = Field(
        "certificate",
        description="`any` admits browsers and other HTTP callers without a certificate although SEMSEARCH_TLS_CA is "
        "set, for example because they have tokens.",
    )

    @field_validator("http_tls_key")
    @classmethod
    def _belongs_to_http_certificate(cls, path: str, info: ValidationInfo) -> str:
        return together(path, info.data.get("http_tls_cert"), cls.variable("http_tls_cert"))

    @property
    def http_body_bytes(self) -> int:
        """Bytes of request bodies in memory: half of them hold a message and its compressed form."""
        return max(self.http_pending_bytes, 4 * self.max_message_bytes)

    @property
    def http_wants_certificates(self) -> bool:
        """Whether callers over HTTP must show a certificate."""
        return bool(self.tls_ca) and self.http_tls_callers == "certificate"

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of other web pages that may call the service."""
        return listed(self.http_allowed_origins)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names that the service answers to, if that is limited."""
        return listed(self.http_allowed_hosts)

    @field_validator("http_allowed_origins")
    @classmethod
    def _are_origins(cls, text: str) -> str:
        for origin in listed(text):
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError("an origin is a scheme and a host, such as https://photos.example, and no path")
        return text

    @field_validator("http_allowed_hosts")
    @classmethod
    def _are_hosts(cls, text: str) -> str:
        for host in listed(text):
            if not _HOST.fullmatch(host):
                raise ValueError("a host is a name without scheme and port, such as photos.example")
        return text
