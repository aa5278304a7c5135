"""An error on the wire: a status with google.rpc details (AIP-193) that fits into the trailers of a call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from semsearch.v1 import error_reason_pb2 as reasons

from serving.quoting import cut, cut_quoted

DOMAIN = "semsearch"
# Characters kept of each quoted text; fewer if the status would not fit otherwise.
_QUOTED_CHARACTERS = (200, 60, 20)
# Names and metadata may be this many times as long: an item's id has up to 512 bytes.
_NAME_SHARE = 3
# Longer metadata is cut.
METADATA_CHARACTERS = _NAME_SHARE * _QUOTED_CHARACTERS[0]
# gRPC accepts 8 kB of trailers; the other trailers need little of it.
_MOST_TRAILER_BYTES = 7_000


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request and its problem."""

    field: str
    description: str


@dataclass(frozen=True)
class Resource:
    """The resource that an error is about: `type` is the message's name, for example "semsearch.v1.Image"."""

    type: str
    name: str


@dataclass(frozen=True)
class Quota:
    """The quota that a call exceeds: whose it is, its name, such as "embed/day", and its number."""

    subject: str
    id: str
    limit: int


@dataclass(frozen=True)
class ErrorStatus:
    """An error on the wire; its message is the exception's text."""

    code: grpc.StatusCode
    reason: reasons.ErrorReason.ValueType
    fields: tuple[FieldViolation, ...] = ()
    resource: Resource | None = None
    retry_after_seconds: float | None = None
    quota: Quota | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


ErrorTable = Mapping[type[Exception], Callable[[Any], ErrorStatus]]


def reason_name(reason: reasons.ErrorReason.ValueType) -> str:
    """Return a reason in its wire form: `ERROR_REASON_EMPTY_QUERY` → `EMPTY_QUERY`."""
    return reasons.ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def build(status: ErrorStatus, message: str) -> status_pb2.Status:
    """Build a status that fits into the trailers of a call, with quotes as long as possible."""
    for most in _QUOTED_CHARACTERS:
        built = _assemble(status, cut_quoted(message, most), most)
        if _trailer_bytes(built) <= _MOST_TRAILER_BYTES:
            break
    return built


def _trailer_bytes(status: status_pb2.Status) -> int:
    """Return the bytes of trailers that a status takes: its message percent-encoded, plus all of it in base64."""
    message = sum(1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3 for byte in status.message.encode())
    return message + 4 * math.ceil(int(status.ByteSize()) / 3)


def _assemble(status: ErrorStatus, message: str, most: int) -> status_pb2.Status:
    # Programs read these, so they are cut only beyond the length of a valid name.
    names = _NAME_SHARE * most
    metadata = {key: cut(text, names) for key, text in status.metadata.items()}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=reason_name(status.reason), domain=DOMAIN, metadata=metadata)
    ]
    if status.fields:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=cut(each.field, names), description=cut_quoted(each.description, most)
                    )
                    for each in status.fields
                ]
            )
        )
    if status.resource:
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=status.resource.type, resource_name=cut(status.resource.name, names), description=message
            )
        )
    if status.quota:
        details.append(
            error_details_pb2.QuotaFailure(
                violations=[
                    error_details_pb2.QuotaFailure.Violation(
                        subject=cut(status.quota.subject, names),
                        description=message,
                        quota_id=status.quota.id,
                        quota_value=status.quota.limit,
                    )
                ]
            )
        )
    if status.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        # Rounded up: what is free in 1.5 ms is not free in 1 ms.
        delay.FromMilliseconds(math.ceil(status.retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code_pb2.Code.Value(status.code.name), message=message, details=packed)
