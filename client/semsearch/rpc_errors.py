"""Translates gRPC statuses with google.rpc details (AIP-193) to the exceptions of `errors.py`."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import grpc.aio
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from semsearch.errors import (
    AccessDenied,
    AlreadyExists,
    ErrorDetails,
    InvalidRequest,
    NotFound,
    Overloaded,
    SemsearchError,
    ServerFailed,
    ServerNotReady,
    ServerUnreachable,
    TimedOut,
    WrongState,
)

_DOMAIN = "semsearch"
SHUTTING_DOWN = "SHUTTING_DOWN"
# gRPC's own words for a call that ends because its channel is closed on this side.
_CLOSED_HERE = "Channel closed!"
# gRPC's own words, for asyncio, if a server ends a stream while a request is being sent (`servers_status`).
STATUS_LOST = "Internal error from Core"
# How gRPC words what is wrong with the encryption of a connection, with a message and a hint for each.
_ENCRYPTION = {
    ("WRONG_VERSION_NUMBER",): (
        "{} is not encrypted, and this connection is.",
        "Connect without TLS: unset the variables SEMSEARCH_CLIENT_TLS_….",
    ),
    ("CERTIFICATE_VERIFY_FAILED",): (
        "{} shows a certificate that is not trusted.",
        "Name the file of the authority that signed it in SEMSEARCH_CLIENT_TLS_CA.",
    ),
    ("Hostname Verification",): (
        "{} shows a certificate that is not for this host.",
        "Connect to a host that it has (`semsearch certs list`), or name one in SEMSEARCH_CLIENT_TLS_SERVER_NAME.",
    ),
    ("failing", "Socket closed"): (
        "What listens at {} closes connections.",
        "It may be encrypted, or want a certificate: set SEMSEARCH_CLIENT_TLS_CA, and SEMSEARCH_CLIENT_TLS_CERT and "
        "SEMSEARCH_CLIENT_TLS_KEY to yours.",
    ),
}
_CLASSES: dict[str, type[SemsearchError]] = {
    "UNAVAILABLE": ServerNotReady,
    "RESOURCE_EXHAUSTED": Overloaded,
    "DEADLINE_EXCEEDED": TimedOut,
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "UNAUTHENTICATED": AccessDenied,
    "PERMISSION_DENIED": AccessDenied,
    "FAILED_PRECONDITION": WrongState,
}
HINTS = {
    "EMPTY_QUERY": "Name at least one thing to look for.",
    "UNKNOWN_WORDS": "Try another word for it.",
    "IMAGE_NOT_FOUND": "`semsearch list` has the ids of a collection.",
    "QUOTA_USED_UP": "`semsearch limits` shows your quotas and what you have used.",
    "RATE_EXCEEDED": "`semsearch limits` shows your quotas.",
    "OVERLOADED": "Try again in a moment.",
    "DEPENDENCY_UNAVAILABLE": "Try again in a moment.",
    "OWNER_CHANGED": "Try again in a moment.",
    SHUTTING_DOWN: "Try again in a moment.",
    "STORAGE_FULL": "Make room on the server's disk, then try again.",
}


@dataclass(frozen=True)
class Peer:
    """A kind of server: its names in messages, and how a program names another address."""

    name: str
    kind: str
    another: str


# The command replaces the last of these by its options (`semsearch.cli.output`).
GATEWAY = Peer("semsearch", "a semsearch gateway", 'Client("host:port")')
INDEX_SERVICE = Peer("index service", "an index service", 'IndexOperations("host:port")')


def from_rpc_error(error: grpc.RpcError, server: str, peer: Peer) -> SemsearchError:
    """Translate the error of a call to `server`."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return ServerFailed(f"{server} cannot be called: {error}")
    status = rpc_status.from_call(error)
    if status is not None:
        return from_status(status)
    code, message = error.code().name, error.details()
    if code == "UNAVAILABLE":
        return _unreachable(server, peer, message or "")
    if code == "DEADLINE_EXCEEDED":
        return TimedOut(f"{server} did not answer in time.", hint="It may be busy; try again.")
    # gRPC's servers cancel calls that come while they shut down.
    if message == STATUS_LOST or (code == "CANCELLED" and message != _CLOSED_HERE):
        return ServerNotReady(
            f"{server} gave the call up. It is probably being restarted.",
            ErrorDetails(SHUTTING_DOWN),
            HINTS[SHUTTING_DOWN],
        )
    if code == "RESOURCE_EXHAUSTED" and "larger than max" in (message or ""):  # gRPC's own words, on either side
        return InvalidRequest(f"The request has more bytes than {server} accepts in one message.")
    if code == "UNIMPLEMENTED":
        return ServerFailed(
            f"The server at {server} does not know this call. It is not {peer.kind}, or it has another version.",
            hint="Check the address, or install the same version of client and suite.",
        )
    return _CLASSES.get(code, ServerFailed)(f"{server} answered {code}: {message}")


def _unreachable(server: str, peer: Peer, words: str) -> ServerUnreachable:
    for sign, (message, hint) in _ENCRYPTION.items():
        if all(part in words for part in sign):
            return ServerUnreachable(message.format(server), hint=hint)
    return ServerUnreachable(
        f"No {peer.name} answers at {server}.",
        hint=f"Start one with `make run-all`, or name another with {peer.another}.",
    )


def from_status(status: status_pb2.Status) -> SemsearchError:
    """Translate the status of a call, or of one item in a response."""
    reason, metadata, fields, retry = "", {}, [], None
    for detail in status.details:
        info, bad, again = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info) and info.domain == _DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fields += [(violation.field, violation.description) for violation in bad.field_violations]
        elif detail.Unpack(again):
            retry = again.retry_delay.ToTimedelta().total_seconds()
    code = code_pb2.Code.Name(status.code)
    details = ErrorDetails(reason, metadata, tuple(fields), retry)
    return _CLASSES.get(code, ServerFailed)(status.message or code, details, HINTS.get(reason, ""))
