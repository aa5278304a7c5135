"""Why a port that listens was not examined: it refuses the caller, hangs, is encrypted, or is another program's."""

from __future__ import annotations

import socket

import grpc
import psutil

from semsearch import suites
from semsearch.doctor.certificates import encryption_problem
from semsearch.doctor.findings import Finding, problem
from semsearch.doctor.listeners import command_of, described, process_at
from semsearch.doctor.places import Place
from semsearch.rpc_errors import GATEWAY, from_rpc_error
from semsearch.transport.server import TOKEN_VARIABLE

_PROBE_SECONDS = 2.0
# What every HTTP/2 client sends first: a server answers it at once, and other programs answer or close the connection.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_MODULES = {"gateway": "gateway", "embedder": "embedder_service", "index": "index_service"}
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_SET_TOKEN = f"Set {TOKEN_VARIABLE} to a token of that suite; `semsearch token create` makes one."
_OF_ADMIN = f"Set {TOKEN_VARIABLE} to an administrator's token, or look again when the quota allows it."
_ANOTHER = f"Set {TOKEN_VARIABLE} to another token; `semsearch token create` makes one."
_ADVICE = {
    "QUOTA_USED_UP": _OF_ADMIN,
    "RATE_EXCEEDED": _OF_ADMIN,
    "OVERLOADED": "Look again in a moment; `semsearch top` shows what the services are doing.",
    "TOO_MANY_CALLS": "Look again when fewer calls of this caller are in progress.",
    "SHUTTING_DOWN": "It ends or is being restarted: look again in a moment.",
    "TOKEN_EXPIRED": _ANOTHER,
    "TOKEN_UNKNOWN": _ANOTHER,
    "ROLE_TOO_LOW": _ANOTHER,
}


def refusal(place: Place, error: grpc.RpcError) -> Finding | None:
    """Return why a service of semsearch did not answer this caller; None if it was no refusal of semsearch."""
    reason = (refused := from_rpc_error(error, place.address, GATEWAY)).reason
    if reason == "TOKEN_MISSING":
        return problem(place.service, f"{place.address} answers only callers that it knows", _SET_TOKEN)
    if reason in _ADVICE:
        return problem(
            place.service, f"{place.address} runs, and refuses this caller: {refused.message}", _ADVICE[reason]
        )
    return None


def other_server(place: Place) -> Finding:
    """Return that a gRPC server has none of the service's names."""
    return problem(
        place.service, f"{place.address} is a gRPC server, but not the {place.service} of semsearch", free(place)
    )


def unexamined(place: Place, error: grpc.RpcError, seconds: float) -> Finding:
    """Return why a call failed that could take `seconds`."""
    code = error.code()
    if code in _REFUSED:  # by something before the service, such as a proxy
        return problem(place.service, f"{place.address} answers only callers that it knows", _SET_TOKEN)
    is_unavailable = code is grpc.StatusCode.UNAVAILABLE
    if code is grpc.StatusCode.DEADLINE_EXCEEDED or (is_unavailable and _is_silent(place)):
        return _hanging(place, seconds)
    if is_unavailable and (found := encryption_problem(place)):
        return found
    process = _process(place)
    by = f", held by {described(process)}," if process else ""
    return problem(place.service, f"{place.address}{by} is not the {place.service}", free(place))


def free(place: Place) -> str:
    """Return how to give a port to its service."""
    return f"Stop the program on port {place.port}, or set {place.variable} to another port."


def _hanging(place: Place, seconds: float) -> Finding:
    process = _process(place)
    if process and _MODULES[place.kind] in command_of(process):
        return problem(
            place.service,
            f"{place.address} does not answer within {seconds:g} s: {described(process)} hangs or is suspended",
            f"End it with `kill -KILL {process.pid}`, which loses nothing; the suite starts it again.",
        )
    by = f", held by {described(process)}," if process else ""
    return problem(
        place.service,
        f"{place.address}{by} does not answer within {seconds:g} s",
        f"If it is the {place.service}, it hangs: stop it, and the suite starts it again. {free(place)}",
    )


def _process(place: Place) -> psutil.Process | None:
    return process_at(place.port) if suites.on_this_machine(place.address) else None


def _is_silent(place: Place) -> bool:
    """Return whether connections are accepted, and nothing is answered."""
    try:
        with socket.create_connection((place.host.strip("[]"), place.port), _PROBE_SECONDS) as connection:
            connection.sendall(_PREFACE)
            connection.recv(1)
    except TimeoutError:
        return True
    except OSError:
        return False
    return False
