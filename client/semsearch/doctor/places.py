"""The ports on which the services of a suite are expected to listen.

They come from the folder's `suite.json`, else from the variables of the services, else from the defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from semsearch import suites

_EMBEDDER_PORT = 50052
_HTTP_PORT = 8080
_METRICS_PORTS = {"gateway": 9051, "embedder": 9052, "index": 9053}
_OFF = -1


@dataclass(frozen=True)
class Place:
    """A port of a service, its purpose, and the variable that sets it."""

    service: str
    purpose: str
    host: str
    port: int
    variable: str

    @property
    def kind(self) -> str:
        """The kind of the service: "gateway-2" is a gateway too."""
        return self.service.partition("-")[0]

    def is_of(self, kind: str, purpose: str) -> bool:
        """Return whether it is a port of this purpose, of a service of this kind."""
        return (self.kind, self.purpose) == (kind, purpose)

    @property
    def address(self) -> str:
        """The place as host:port."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class ServicePlaces:
    """The places of one service: gRPC, and beside it metrics and HTTP unless they are off."""

    service: str
    grpc: Place
    others: tuple[Place, ...]

    @property
    def all(self) -> tuple[Place, ...]:
        """All of them."""
        return (self.grpc, *self.others)


def places_of(gateway: str, index: str, suite: suites.Suite) -> tuple[ServicePlaces, ...]:
    """Return the places of the services behind a gateway; on another machine, only the gRPC port is known."""
    host, _ = split(gateway)
    is_suites_own = suites.same_address(gateway, suite.gateway)
    embedder = suite.embedder if is_suites_own else ""
    local = suites.on_this_machine(gateway)
    addresses = {
        "embedder": embedder or (f"{host}:{_port('embedder', 'PORT', _EMBEDDER_PORT)}" if local else ""),
        "index": index if local or not suites.on_this_machine(index) else "",
        "gateway": gateway,
    }
    found = [_places(service, address) for service, address in addresses.items() if address]
    return (*found, *map(_places_of_process, suite.processes if is_suites_own else ()))


def http_place(gateway: str) -> Place | None:
    """Return where a gateway serves HTTP if it is on this machine and HTTP is not off."""
    host, _ = split(gateway)
    place = _place("gateway", "HTTP", host, "HTTP_PORT", _HTTP_PORT)
    return place if place.port > 0 and suites.on_this_machine(gateway) else None


def split(address: str) -> tuple[str, int]:
    """Return the host and the port of an address; the port is 0 if it is not a number."""
    host, _, port = address.removeprefix("dns:").lstrip("/").rpartition(":")
    return host or "127.0.0.1", int(port) if port.isdigit() else 0


def _places(service: str, address: str) -> ServicePlaces:
    host, port = split(address)
    others = []
    if suites.on_this_machine(address):
        others.append(_place(service, "metrics", host, "METRICS_PORT", _METRICS_PORTS[service]))
        if service == "gateway" and (http := http_place(address)):
            others.append(http)
    grpc = Place(service, "gRPC", host, port, _variable(service, "PORT"))
    return ServicePlaces(service, grpc, tuple(each for each in others if each.port > 0))


def _places_of_process(process: suites.GatewayProcess) -> ServicePlaces:
    """Return the places of a gateway process after the first, without the ports that all of them share."""
    host, port = split(process.address)
    metrics = Place(process.name, "metrics", host, process.metrics_port, _variable("gateway", "PROCESSES"))
    grpc = Place(process.name, "gRPC", host, port, _variable("gateway", "PROCESSES"))
    return ServicePlaces(process.name, grpc, (metrics,) if metrics.port > 0 else ())


def _place(service: str, purpose: str, host: str, field: str, default: int) -> Place:
    return Place(service, purpose, host, _port(service, field, default), _variable(service, field))


def _port(service: str, field: str, default: int) -> int:
    """Return the port that a variable sets; `_OFF` if it is not a number, which stops the service itself."""
    text = os.environ.get(_variable(service, field)) or str(default)
    try:
        return int(text)
    except ValueError:
        return _OFF


def _variable(service: str, field: str) -> str:
    return f"SEMSEARCH_{service.upper()}_{field}"
