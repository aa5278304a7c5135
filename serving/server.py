"""The life of a service process: bind, open, serve, drain, close.

1. The ports are bound first, so that a port in use is reported before a model is loaded.
2. `open_services` opens what the services need. A domain error there is printed to stderr as one
   sentence after "error: ", and the exit status is 1.
3. Health and reflection are added. A service is SERVING from now on, or once it reports that it is ready. HTTP is
   served beside gRPC where a process has an HTTP port.
   A connection ends after `max_connection_age_seconds`, its calls when they are done; one of HTTP with the answer to
   its next request.
4. On SIGTERM or SIGINT it shuts down in the order of `shutdown`, and everything is closed. If it is not ready yet, it
   gives up.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import grpc.aio
import structlog
import uvloop
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health, health_pb2_grpc
from starlette.types import ASGIApp

from serving import logs, metrics
from serving.audit_log import AuditLog, AuditLogUnusable, open_audit_log
from serving.background import WorkHealth
from serving.channels import Channels
from serving.errors import is_expected
from serving.gates import Gate
from serving.health_reports import HealthReports
from serving.http_server import HttpServer
from serving.interceptors import CallInterceptor
from serving.ports import Ports, PortTaken, bind_ports
from serving.reflection import add_reflection
from serving.safeguards import Methods, Safeguards
from serving.setting_files import StartRefused, refusals_of
from serving.settings import ServiceSettings
from serving.shutdown import limit_duration, shut_down

# Bytes of a call's metadata. A call inside the suite names the collections of its caller: 1,000 names of 63 characters
# are 88 kB. gRPC's own limit refuses some calls from 8 KiB on.
MAX_METADATA_BYTES = 128 * 2**10

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class GrpcService:
    """A service to serve: its full name, and the function that adds it to a server.

    `health` yields whether the service is ready, now and after each change; None means ready from the start. Background
    work has a separate health, `<service>/<work>`: the service continues if that work fails. `parts` yields the names
    of what the service can do at the moment, each of which is SERVING as `<service>/<part>`.
    """

    name: str
    register: Callable[[grpc.aio.Server], None]
    health: Callable[[], AsyncIterator[bool]] | None = None
    background: Sequence[WorkHealth] = ()
    parts: Callable[[], AsyncIterator[frozenset[str]]] | None = None


@dataclass(frozen=True)
class Served:
    """What a process serves: its services and, if it has an HTTP port, the application behind that.

    `http` makes the application from the health of the services, by name, which is kept up to date, and from the gates
    that its calls have to pass. `changed` is called with the settings, now and whenever the file of live settings
    changes them.
    """

    services: Sequence[GrpcService]
    http: Callable[[Mapping[str, bool], Sequence[Gate]], ASGIApp] | None = None
    changed: Callable[[Any], None] | None = None


# Gets what opens channels to other services.
OpenServices = Callable[[Channels], AbstractAsyncContextManager[Served]]


def run(settings: ServiceSettings, open_services: OpenServices, methods: Methods) -> int:
    """Serve until SIGTERM or SIGINT and return the process's exit status.

    Args:
        settings: The settings that the process was started with.
        open_services: Opens the services.
        methods: What guards and describes the services' methods.
    """
    logs.configure(settings)
    metrics.watch_disk(settings.data)
    try:
        with _traces(settings), open_audit_log(settings) as audit:
            return uvloop.run(_run(settings, open_services, methods, audit))
    except (AuditLogUnusable, PortTaken, StartRefused) as error:
        return _fail(str(error))


def _traces(settings: ServiceSettings) -> AbstractContextManager[None]:
    """Return a context in which calls are traced, if a collector is set."""
    if not settings.otlp_endpoint:
        return nullcontext()
    from serving.trace_export import exporting

    return exporting(settings)


async def _run(settings: ServiceSettings, open_services: OpenServices, methods: Methods, audit: AuditLog | None) -> int:
    with refusals_of(settings):
        safeguards = Safeguards.of(settings, methods, audit)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = grpc.aio.server(
        interceptors=[CallInterceptor(methods.errors, safeguards.gates, safeguards.early_refusal)],
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            # Between the two, gRPC would refuse calls at random.
            ("grpc.max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
            # gRPC's default, one ping in 5 minutes, drops clients that ping a silent stream more often: the gateway's
            # health watches (30 s) were cut off after 120 s.
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            # Detect a caller that vanished or was suspended within 80 s, and end its calls. Otherwise a stream to it
            # would stay open for hours, with all its resources.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.ping_timeout_ms", 20_000),  # of a caller whose system still acknowledges what is sent
            *_connection_age(settings.max_connection_age_seconds),
            ("grpc.max_concurrent_streams", settings.max_streams_per_connection),
            ("grpc.max_allowed_incoming_connections", settings.max_connections),
            # Processes that do not mean to share a port would share its calls, each with half of the data.
            ("grpc.so_reuseport", int(settings.shares_port)),
        ],
    )
    ports = bind_ports(server, settings, safeguards.encryption)
    ready = asyncio.Event()
    opening = asyncio.ensure_future(_serve(server, safeguards, ports, open_services, ready, stop))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set() and not ready.is_set():
        log.info("stopping before it is ready", service=settings.service)
        limit_duration(settings.drain_seconds)
        opening.cancel()
    try:
        with suppress(asyncio.CancelledError):
            await opening
    except Exception as error:
        if not is_expected(error, methods.errors):
            raise
        return _fail(str(error))
    return 0


def _connection_age(seconds: float) -> list[tuple[str, int]]:
    """Return the options that end connections after a time, 0 for never.

    A client then connects again, and looks the name up again, so servers that were added get calls. Calls in progress
    continue, however long they take: without a grace period, gRPC never ends them.
    """
    return [("grpc.max_connection_age_ms", int(seconds * 1_000))] if seconds else []


async def _serve(
    server: grpc.aio.Server,
    safeguards: Safeguards,
    ports: Ports,
    open_services: OpenServices,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    encryption = safeguards.encryption
    async with safeguards.kept_current(), open_services(safeguards.channels) as served:
        settings = safeguards.settings
        if (changed := served.changed) is not None:
            safeguards.live.listen(lambda now: changed(now.settings))
        services = served.services
        reports = HealthReports()
        serving = dict.fromkeys((service.name for service in services), False)
        names = [service.name for service in services]
        for service in services:
            service.register(server)
        health_pb2_grpc.add_HealthServicer_to_server(reports, server)
        names.append(health.SERVICE_NAME)
        if settings.channelz:
            channelz.add_channelz_servicer(server)
            names.append(channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name)
        add_reflection(names, server)
        http = None
        if ports.http is not None and served.http is not None:
            app = served.http(MappingProxyType(serving), safeguards.gates)
            http = HttpServer(ports.http, app, encryption.http, safeguards.http_limits)
        await server.start()
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(_report_health(reports, services, serving))
            if http is not None:
                group.create_task(http.serve())
            log.info("ready", service=settings.service, **ports.addresses(), **settings.for_log())
            ready.set()
            await stop.wait()
            log.info("stopping", service=settings.service, drain_seconds=settings.drain_seconds)
            limit_duration(settings.drain_seconds)
            reporting.cancel()
            serving.update(dict.fromkeys(serving, False))
            await shut_down(server, http, reports, safeguards.drain, settings.drain_seconds)


async def _report_health(reports: HealthReports, services: Sequence[GrpcService], serving: dict[str, bool]) -> None:
    """Report each service's health, also in `serving`, and under "" whether all are healthy; run until cancelled."""

    def report(name: str, healthy: bool) -> None:
        serving[name] = healthy
        metrics.SERVING.labels(name).set(healthy)
        reports.set(name, healthy)
        reports.set("", all(serving.values()))

    async def follow(name: str, changes: AsyncIterator[bool], publish: Callable[[str, bool], None] = report) -> None:
        async for healthy in changes:
            publish(name, healthy)

    async def follow_parts(name: str, changes: AsyncIterator[frozenset[str]]) -> None:
        known: frozenset[str] = frozenset()
        async for parts in changes:
            for part in known ^ parts:
                reports.set(f"{name}/{part}", part in parts)
            known = parts

    async with asyncio.TaskGroup() as group:
        for service in services:
            report(service.name, service.health is None)
            if service.health is not None:
                group.create_task(follow(service.name, service.health()))
            for work in service.background:
                group.create_task(follow(f"{service.name}/{work.name}", work.watch(), reports.set))
            if service.parts is not None:
                group.create_task(follow_parts(service.name, service.parts()))


def _fail(sentence: str) -> int:
    print(f"{logs.ERROR_PREFIX}{sentence}", file=sys.stderr)  # noqa: T201 — for the person who starts the service
    return 1
