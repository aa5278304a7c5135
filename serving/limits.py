"""The limits that a service enforces, in one list: GetLimits and the docs are made of it.

Each service has such a list: `gateway.api.limits`, `embedder_service.limits` and `index_service.api.limits`. They name
the constants and settings that the code enforces; a test compares them with the protos' comments.
"""

from __future__ import annotations

from dataclasses import dataclass

from serving import http_requests, http_server, server
from serving.decoding import MAX_FIELDS
from serving.http_settings import HttpSettings
from serving.settings import ServiceSettings


@dataclass(frozen=True)
class Limit:
    """A limit: what it is about, the greatest number, its unit, and the setting that chooses it, if one does."""

    name: str
    most: float
    unit: str
    setting: str = ""


def chosen(settings: ServiceSettings, field: str, name: str, unit: str) -> Limit:
    """Return a limit that a setting chooses."""
    return Limit(name, getattr(settings, field), unit, settings.variable(field))


def of_fields(package: str, unit: str, limits: dict[str, float]) -> tuple[Limit, ...]:
    """Return limits of fields and messages, by their names in a package."""
    return tuple(Limit(f"{package}.{name}", most, unit) for name, most in limits.items())


def of_process(settings: ServiceSettings) -> tuple[Limit, ...]:
    """Return the limits that every service has."""
    limits = (
        chosen(settings, "max_message_bytes", "message", "bytes"),
        Limit("message", MAX_FIELDS, "fields, those of its messages included"),
        Limit("metadata", server.MAX_METADATA_BYTES, "bytes"),
        chosen(settings, "max_streams_per_connection", "gRPC connection", "calls at a time"),
        chosen(settings, "max_connections", "gRPC connections", "at a time"),
        chosen(settings, "max_connection_age_seconds", "gRPC connection", "seconds until a new one is opened"),
    )
    if not isinstance(settings, HttpSettings):
        return limits
    return (
        *limits,
        Limit("HTTP connections", http_server.MAX_CONNECTIONS, "at a time"),
        chosen(settings, "http_max_connections_per_address", "HTTP connections of an address", "at a time"),
        Limit("HTTP bodies in memory", settings.http_body_bytes, "bytes", settings.variable("http_pending_bytes")),
        Limit("HTTP head", http_server.MAX_HEAD_BYTES, "bytes"),
        Limit("HTTP head", http_server.HEAD_SECONDS, "seconds to arrive"),
        Limit("HTTP connection", http_server.KEEP_ALIVE_SECONDS, "seconds between requests"),
        chosen(settings, "max_connection_age_seconds", "HTTP connection", "seconds until a new one is opened"),
        Limit("HTTP client", http_requests.STALL_SECONDS, "seconds without a byte, in a body or an answer"),
    )
