"""Leases and records."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from semsearch.index.v1 import coordination_service_pb2 as pb

from index_service.coordination.leases import Lease
from index_service.definition import NAME_PATTERN
from serving.errors import InvalidField

MAX_VALUE_BYTES = 64 * 2**10
MAX_TEXT_CHARACTERS = 512
MIN_TTL_SECONDS, MAX_TTL_SECONDS = 0.1, 300.0


@dataclass(frozen=True)
class Wanted:
    """A request for a lease."""

    name: str
    holder: str
    address: str
    ttl_seconds: float
    ended_holder: str


def to_name(name: str) -> str:
    """Return the name of a lease or a record; raises `InvalidField`."""
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidField(
            "name", 'must be letters, digits, ".", "_" and "-", 1 to 128 characters, beginning with a letter.'
        )
    return name


def to_wanted(request: pb.AcquireLeaseRequest) -> Wanted:
    """Return a request for a lease; raises `InvalidField`."""
    name = to_name(request.name)
    if not 1 <= len(request.holder) <= MAX_TEXT_CHARACTERS:
        raise InvalidField("holder", f"must have 1 to {MAX_TEXT_CHARACTERS} characters.")
    if len(request.address) > MAX_TEXT_CHARACTERS:
        raise InvalidField("address", f"must have at most {MAX_TEXT_CHARACTERS} characters.")
    seconds = request.ttl.ToTimedelta().total_seconds()
    if not MIN_TTL_SECONDS <= seconds <= MAX_TTL_SECONDS:
        raise InvalidField("ttl", f"must be {MIN_TTL_SECONDS} to {MAX_TTL_SECONDS} seconds.")
    return Wanted(name, request.holder, request.address, seconds, request.ended_holder)


def to_value(value: bytes) -> bytes:
    """Return a record's value; raises `InvalidField`."""
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidField("value", f"has {len(value)} bytes; at most {MAX_VALUE_BYTES} are kept.")
    return value


def from_lease(lease: Lease) -> pb.Lease:
    """Return a lease's message."""
    return pb.Lease(
        name=lease.name,
        number=lease.number,
        holder=lease.holder,
        address=lease.address,
        ttl=_duration(lease.ttl_seconds),
        remaining=None if lease.remaining_seconds is None else _duration(lease.remaining_seconds),
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration
