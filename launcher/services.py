"""Read the services of the Procfile and their settings.

A line of the Procfile is a shell command that contains `-m PACKAGE`. Its settings come from the same command with `-m
PACKAGE.settings`, so they are exactly what the service reads from the environment and its flags, and a bad one is
reported in the service's own words. No service's package is imported: the embedder's would load TensorFlow, 7.5 s.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

from honcho.environ import parse_procfile
from pydantic import BaseModel, ConfigDict

from launcher.errors import BadProcfile, BadSetting
from serving.access.settings import AccessSettings
from serving.settings import PREFIX
from serving.shutdown import CLOSING_SECONDS
from serving.tls_settings import TlsSettings

GATEWAY = "gateway"
_MARGIN_SECONDS = 1.0
_MODULE = re.compile(r"(\s-m\s+[A-Za-z_]\w*)(?=\s|$)")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104 — recognised, not bound


class _Settings(BaseModel):
    """The settings that the launcher needs from every service."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    port: int
    metrics_port: int
    http_port: int = -1
    data: Path
    processes: int = 1
    drain_seconds: float
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    tls_server_name: str = ""
    http_tls_cert: str = ""
    tokens: str = ""
    suite_key: str = ""


@dataclass(frozen=True)
class Service:
    """A service to start: the name and shell command from its line in the Procfile, and where it will listen.

    `port` is the gRPC port; `metrics_port` is -1 if metrics are off, and `http_port` if the service has no HTTP. `data`
    is the folder of data to keep. `processes` is the number of processes that share the ports; `own_port` is the one on
    which only this process listens. `drain_seconds` is what its calls have to finish at the end. `tls` has its
    certificates, None for plaintext, and `access` the files of its callers, None if anyone may call.
    """

    name: str
    command: str
    host: str
    port: int
    metrics_port: int
    data: Path
    http_port: int = -1
    processes: int = 1
    own_port: int = 0
    drain_seconds: float = 0.0
    tls: TlsSettings | None = None
    access: AccessSettings | None = None
    http_is_encrypted: bool = False

    @property
    def address(self) -> str:
        """The service's address on this machine, such as "127.0.0.1:50051", even if it listens on every address."""
        return f"{self._reached_at}:{self.port}"

    @property
    def http_url(self) -> str | None:
        """The URL of its web page, or None if HTTP is off."""
        scheme = "https" if self.http_is_encrypted else "http"
        return f"{scheme}://{self._reached_at}:{self.http_port}" if self.http_port > 0 else None

    @property
    def metrics_url(self) -> str | None:
        """The URL of its metrics, or None if metrics are off or the port is unknown until the service starts."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{self._reached_at}:{self.metrics_port}/metrics" if self.metrics_port > 0 else None

    @property
    def _reached_at(self) -> str:
        return _EVERYWHERE.get(self.host, self.host)

    @property
    def own_address(self) -> str:
        """The address of this process, if it is one of several, or else of the service."""
        return f"{self._reached_at}:{self.own_port}" if self.own_port else self.address

    @property
    def end_seconds(self) -> float:
        """How long it may take to end after SIGTERM; it ends itself a moment before (`serving.shutdown`)."""
        return self.drain_seconds + CLOSING_SECONDS + _MARGIN_SECONDS

    def variable(self, field: str) -> str:
        """Return the name of the environment variable for one of the service's own settings."""
        return variable(self.name, field)


def variable(service: str, field: str) -> str:
    """Return the name of the environment variable for a service's own setting, such as `SEMSEARCH_INDEX_PORT`."""
    return f"{PREFIX}{service.upper()}_{field.upper()}"


def read_services(procfile: Path, environment: Mapping[str, str]) -> list[Service]:
    """Return the services of a Procfile, in its order, as they would start in `environment`.

    Raises:
        BadProcfile: it cannot be read, lists no gateway, or has a line that starts no Python module.
        BadSetting: a service rejects its settings; the first such service is reported.
    """
    try:
        commands: dict[str, str] = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    except OSError as error:
        raise BadProcfile(
            procfile, f"cannot be read ({error.strerror}): run this in the repository's root, or pass --procfile"
        ) from error
    if GATEWAY not in commands:
        raise BadProcfile(procfile, f"has no line `{GATEWAY}: ...`, and clients reach everything through the gateway")
    for name, command in commands.items():
        if not _MODULE.search(command):
            raise BadProcfile(procfile, f"has a line `{name}` that starts no service with `python -m PACKAGE`")
    with ThreadPoolExecutor(len(commands)) as asked:
        return list(asked.map(_query_settings, commands.keys(), commands.values(), repeat(environment)))


def with_backends(environment: Mapping[str, str], services: Sequence[Service]) -> dict[str, str]:
    """Add the other services' addresses for the gateway, so that a port is set in one place; keep set ones."""
    addresses = {variable(GATEWAY, service.name): service.address for service in services if service.name != GATEWAY}
    return {**environment, **{name: address for name, address in addresses.items() if not environment.get(name)}}


def processes_of(service: Service, services: Sequence[Service]) -> list[Service]:
    """Return the processes to start for a service.

    Several processes share the service's port, and each has its own port and metrics port. Their numbers follow the
    highest ones of all `services`.
    """
    if service.processes == 1:
        return [service]
    own, metrics = max(each.port for each in services), max(each.metrics_port for each in services)
    others = [
        replace(
            service,
            name=f"{service.name}-{number}",
            own_port=own + number,
            metrics_port=metrics + number - 1 if service.metrics_port > 0 else service.metrics_port,
        )
        for number in range(2, service.processes + 1)
    ]
    return [replace(service, own_port=own + 1), *others]


def with_own_ports(environment: Mapping[str, str], process: Service) -> dict[str, str]:
    """Add the ports of one of several gateway processes."""
    if not process.own_port:
        return dict(environment)
    return {
        **environment,
        variable(GATEWAY, "own_port"): str(process.own_port),
        variable(GATEWAY, "metrics_port"): str(process.metrics_port),
    }


def _query_settings(name: str, command: str, environment: Mapping[str, str]) -> Service:
    # A Procfile's lines are shell commands, and honcho starts them as such.
    answer = subprocess.run(  # noqa: S602
        _MODULE.sub(r"\1.settings", command),
        shell=True,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise BadSetting(
            answer.stderr.strip() or f"The {name} does not report its settings: `{command}` cannot be run."
        )
    settings = _Settings.model_validate_json(answer.stdout)
    return Service(
        name,
        command,
        settings.host,
        settings.port,
        settings.metrics_port,
        settings.data,
        settings.http_port,
        settings.processes,
        drain_seconds=settings.drain_seconds,
        tls=_tls(settings),
        access=_access(settings),
        http_is_encrypted=bool(settings.tls_cert or settings.http_tls_cert),
    )


def _tls(settings: _Settings) -> TlsSettings | None:
    if not settings.tls_cert:
        return None
    return TlsSettings(**settings.model_dump(include=set(TlsSettings.model_fields)))


def _access(settings: _Settings) -> AccessSettings | None:
    if not (settings.tokens or settings.suite_key):
        return None
    return AccessSettings(**settings.model_dump(include={"tokens", "suite_key"}))
