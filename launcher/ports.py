"""Checks that every port is free before anything starts."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from launcher.errors import PortNotFree
from launcher.services import Service


@dataclass(frozen=True)
class Port:
    """A port that a service will listen on, what for, and the environment variable that sets it."""

    service: str
    purpose: str
    host: str
    number: int
    variable: str


def ports_of(services: Sequence[Service]) -> Iterator[Port]:
    """Yields the ports that the services will listen on; not those of metrics where they take any or none."""
    for service in services:
        yield Port(service.name, "gRPC", service.host, service.port, service.variable("port"))
        if service.metrics_port > 0:
            yield Port(service.name, "metrics", service.host, service.metrics_port, service.variable("metrics_port"))


def check_ports(ports: Iterator[Port]) -> None:
    """Opens all ports at the same time, and closes them.

    Raises:
        PortNotFree: one cannot be opened, is wanted twice, or is not known before its service starts.
    """
    wanted: dict[tuple[str, int], Port] = {}
    with ExitStack() as opened:
        for port in ports:
            if port.number == 0:
                raise PortNotFree(
                    f"{port.variable} is 0, any free port, and then nobody could say where the {port.service} is: "
                    "set it to a number."
                )
            if other := wanted.get((port.host, port.number)):
                raise PortNotFree(
                    f"{other.variable} and {port.variable} are both {port.number}: set one of them to another port."
                )
            wanted[port.host, port.number] = port
            opened.enter_context(_open(port))


def _open(port: Port) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(port.host.strip("[]"), port.number, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise PortNotFree(
                f"The {port.service} cannot listen on {port.host}, which is no address of this machine: "
                "set SEMSEARCH_HOST to one, or leave it out for 127.0.0.1."
            ) from error
        raise PortNotFree(
            f"Port {port.number} on {port.host}, which the {port.service} needs for {port.purpose}, is in use or may "
            f"not be opened. Stop the program that has it (another semsearch?), or set {port.variable} to another port."
        ) from error
