"""The ports that the services will listen on, and whether they are free."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from operator import attrgetter

from launcher.errors import PortNotFree
from launcher.services import Service, processes_of


@dataclass(frozen=True)
class Port:
    """A port that a service will listen on, its purpose, and the environment variable that sets it."""

    service: str
    purpose: str
    host: str
    number: int
    variable: str


def ports_of(services: Sequence[Service]) -> Iterator[Port]:
    """Yield the ports that the services will listen on, except metrics ports that are off or chosen at random."""
    for service in services:
        yield Port(service.name, "gRPC", service.host, service.port, service.variable("port"))
        if service.http_port >= 0:
            yield Port(service.name, "HTTP", service.host, service.http_port, service.variable("http_port"))
        if service.metrics_port > 0:
            yield Port(service.name, "metrics", service.host, service.metrics_port, service.variable("metrics_port"))
        # These numbers follow the highest ports of all services, so a message names the settings of those.
        highest, highest_metrics = (max(services, key=attrgetter(field)) for field in ("port", "metrics_port"))
        for process in processes_of(service, services):
            if process.own_port:
                yield Port(process.name, "its own gRPC", "127.0.0.1", process.own_port, highest.variable("port"))
            if process.name != service.name and process.metrics_port > 0:
                moved = highest_metrics.variable("metrics_port")
                yield Port(process.name, "metrics", process.host, process.metrics_port, moved)


def check_ports(ports: Iterator[Port]) -> None:
    """Check that all ports are free by opening them at the same time; close them again.

    Raises:
        PortNotFree: ports cannot be opened (all are named), or one is set twice, or unknown until its service starts.
    """
    wanted: dict[tuple[str, int], Port] = {}
    taken: list[tuple[Port, OSError]] = []
    with ExitStack() as opened:
        for port in ports:
            if port.number == 0:
                raise PortNotFree(
                    f"{port.variable} is 0, which picks any free port, so the {port.service} could not be found: "
                    "set it to a number."
                )
            if other := wanted.get((port.host, port.number)):
                raise PortNotFree(
                    f"{other.variable} and {port.variable} are both {port.number}: set one of them to another port."
                )
            wanted[port.host, port.number] = port
            try:
                opened.enter_context(_listen(port))
            except OSError as error:
                taken.append((port, error))
    if taken:
        raise PortNotFree(_describe_taken([port for port, _ in taken])) from taken[0][1]


def _listen(port: Port) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(port.host.strip("[]"), port.number, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise PortNotFree(
                f"The {port.service} cannot listen on {port.host}, which is not an address of this machine: "
                "set SEMSEARCH_HOST to one, or leave it out for 127.0.0.1."
            ) from error
        raise


def _describe_taken(ports: Sequence[Port]) -> str:
    if len(ports) == 1:
        port = ports[0]
        return (
            f"Port {port.number} on {port.host}, which the {port.service} needs for {port.purpose}, is in use or may "
            f"not be opened. Stop the program that has it (another semsearch?), or set {port.variable} to another port."
        )
    lines = [
        f"  {port.number} on {port.host} for the {port.service} ({port.purpose}): {port.variable}" for port in ports
    ]
    return "\n".join(
        [
            f"{len(ports)} ports are in use or may not be opened:",
            *lines,
            "Stop the programs that have them (another semsearch?), or set these variables to other ports.",
        ]
    )
