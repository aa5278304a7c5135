"""Examine a service: its ports, its health, that of its background work, and its RPCs."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.client import HTTPException

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from semsearch import suites
from semsearch.doctor.background_work import WORKS
from semsearch.doctor.certificates import (
    examine_certificate,
    examine_certificate_unasked,
    own_certificate_problem,
    own_tls,
)
from semsearch.doctor.findings import Finding, note, ok, problem
from semsearch.doctor.listeners import described, listens, process_at
from semsearch.doctor.places import Place, ServicePlaces
from semsearch.doctor.reflection import Reflection
from semsearch.doctor.unexamined import free, other_server, refusal, unexamined
from semsearch.doctor.unusable_files import examine_files
from semsearch.rpc_errors import GATEWAY
from semsearch.transport.blocking import open_channel
from semsearch.transport.server import Server

_CALL_SECONDS = 5.0
# The RPC service by which each kind of server is recognised.
_NAMES = {
    "gateway": "semsearch.v1.SearchService",
    "embedder": "semsearch.embedder.v1.EmbedderService",
    "index": "semsearch.index.v1.IndexService",
}
_SERVING = health_pb2.HealthCheckResponse.SERVING
# By purpose of a port: the path that shows that the port is ours, and the path to look at.
_PATHS = {"metrics": ("/metrics", "/metrics"), "HTTP": ("/healthz", "/")}


def examine_service(places: ServicePlaces, *, suite_runs: bool) -> Iterator[Finding]:
    """Yield what is found about one service; `suite_runs` says whether its launcher does."""
    place = places.grpc
    if not listens(place.host, place.port):
        yield _not_listening(place, suite_runs=suite_runs)
        if suites.on_this_machine(place.address):
            yield from (_taken(each) for each in places.others if listens(each.host, each.port))
        return
    if own_certificate_problem():
        yield note(
            place.service, f"{place.address} listens; it was not asked, as this caller's certificate cannot be used"
        )
        yield from examine_certificate_unasked(place)
        return
    server = Server(place.address, GATEWAY)
    with open_channel(server) as channel:
        health = _Health(channel)
        try:
            reflection = Reflection(channel, _CALL_SECONDS, server.metadata())
            refused, names = _names(reflection, health, place)
            if _NAMES[place.kind] not in names:
                yield other_server(place)
                return
            if refused is not None:
                yield refused
            yield from _examine_health(health, place, names)
            if refused is None:
                yield from _examine_rpcs(reflection, place)
        except grpc.RpcError as error:
            yield refusal(place, error) or unexamined(place, error, _CALL_SECONDS)
            return
    yield from examine_certificate(place)
    for other in places.others:
        yield _examine_other_port(other)
        if other.purpose == "metrics":
            yield from examine_files(other)


def _names(reflection: Reflection, health: _Health, place: Place) -> tuple[Finding | None, list[str]]:
    """Return the names of a server's services, those that it reports the health of if it refuses this caller."""
    try:
        return None, reflection.services()
    except grpc.RpcError as error:
        refused = refusal(place, error)
        if refused is None:
            raise
        return refused, health.services()  # which it tells everybody


class _Health:
    """The health service of a server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = health_pb2_grpc.HealthStub(channel)

    def serves(self, name: str) -> bool | None:
        """Return whether a service or background work is healthy; None if the server does not know the name."""
        try:
            response = self._stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise
        return bool(response.status == _SERVING)

    def services(self) -> list[str]:
        """Return the names of the server's services of semsearch."""
        names = self._stub.List(health_pb2.HealthListRequest(), timeout=_CALL_SECONDS).statuses
        return sorted(name for name in names if name.startswith("semsearch.") and "/" not in name)


def _examine_health(health: _Health, place: Place, names: Sequence[str]) -> Iterator[Finding]:
    short = [name.rpartition(".")[2] for name in names]
    waiting = [each for each, name in zip(short, names, strict=True) if not health.serves(name)]
    if waiting:
        yield problem(
            place.service,
            f"{place.address} runs, but is not ready: {', '.join(waiting)}",
            f"Wait until the services that it needs are up; the log of the {place.service} names them.",
        )
    else:
        yield ok(place.service, f"{place.address} serves {', '.join(short)}")
    found = {work: health.serves(work.health_name) for work in WORKS if work.service in names}
    works = [work for work, serves in found.items() if serves is not None]  # some is done only if a setting asks for it
    failing = [work for work in works if not found[work]]
    for work in failing:
        yield problem(
            f"{place.service}: {work.name}",
            f"background work fails and is retried; {work.if_it_fails}",
            f"The log of the {place.service} has the error of {work.name}.",
        )
    if works and not failing:
        yield ok(f"{place.service}: background work", ", ".join(work.name for work in works))


def _examine_rpcs(reflection: Reflection, place: Place) -> Iterator[Finding]:
    if missing := reflection.missing_rpcs():
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        yield problem(
            place.service,
            f"is older than this client: it lacks {missing[0]}{more}",
            f"Update and restart the suite, or install the client of the same version as the {place.service}.",
        )


def _examine_other_port(place: Place) -> Finding:
    scheme = "http" if own_tls() is None else "https"
    part, base = f"{place.service}: {place.purpose}", f"{scheme}://{place.address}"
    health, shown = _PATHS[place.purpose]
    opener = _direct()
    status = _status(opener, f"{base}{health}")
    if not status:
        return note(part, f"{base} does not answer", f"It is off, or elsewhere: {place.variable} sets the port.")
    if status != HTTPStatus.OK:
        return note(
            part,
            f"{base}{health} answers {status}",
            f"If another program has the port, set {place.variable} to another.",
        )
    if _status(opener, f"{base}{shown}") != HTTPStatus.OK:
        return note(part, f"{base} answers API calls, but has no web page", "Build the page with `make page`.")
    return ok(part, f"{base}{shown}")


def _direct() -> urllib.request.OpenerDirector:
    """Return an opener that uses no proxy of the environment: the port is on this machine."""
    tls = own_tls()
    context = None if tls is None else tls.context()
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def _status(opener: urllib.request.OpenerDirector, url: str) -> int:
    """Return the status of a response, 0 if there is none."""
    try:
        with opener.open(url, timeout=_CALL_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, HTTPException):
        return 0


def _not_listening(place: Place, *, suite_runs: bool) -> Finding:
    text = f"nothing listens at {place.address}"
    if suite_runs:
        advice = (
            f"The suite is starting the {place.service}, or restarting it after a crash. If this lasts, look at the "
            f"suite's output: it shows why the {place.service} ended."
        )
    elif suites.on_this_machine(place.address):
        advice = "Start the suite: `make run-all` in its folder."
    else:
        advice = (
            f"Start the suite on {place.host} with SEMSEARCH_HOST=0.0.0.0, certificates and tokens; "
            "docs/guides/who-may-call.md has the steps."
        )
    return problem(place.service, text, advice)


def _taken(place: Place) -> Finding:
    process = process_at(place.port)
    program = described(process) if process else "another program"
    return problem(
        f"{place.service}: {place.purpose}",
        f"{place.address} is taken by {program}, so the {place.service} cannot start",
        free(place),
    )
