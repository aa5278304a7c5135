"""Run the suite, from the checks to the stop.

The launcher checks settings and ports, starts the services and waits for them, fills the gallery on the first start,
and shows example queries: shell commands to paste in the folder that the launcher was started in. Bytes are base64 in
grpcurl's JSON; the commands use `tr` because only GNU has `base64 -w0`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from semsearch import Tls
from semsearch.client import DEFAULT_SERVER

from launcher.errors import LauncherError
from launcher.output import JsonOutput, Output
from launcher.ports import check_ports, ports_of
from launcher.running_suite import claimed, write_addresses
from launcher.services import (
    GATEWAY,
    Service,
    processes_of,
    read_services,
    with_backends,
    with_own_ports,
)
from launcher.starter_gallery import StarterGallery
from launcher.stopping import expect_force
from launcher.supervisor import Supervisor
from launcher.trust import check_trust
from serving import callers
from serving.access.suite_key import SuiteKey
from serving.settings import PREFIX
from serving.tls_settings import TlsSettings

READY = "semsearch is ready:"
GRPCURL = Path(".tools/bin/grpcurl")
_TAGGED = "cat-00.webp"
_SIMILAR = "boat-00.webp"


def run(argv: Sequence[str] | None = None) -> int:
    """Run the suite until it cannot continue, and return the exit status.

    Raises:
        Interrupted: a signal asked the launcher to end; everything is stopped.
    """
    arguments = _parser().parse_args(argv)
    output, errors = _outputs()
    try:
        _run_services(arguments, output)
    except LauncherError as error:
        errors.console.print(str(error))
        return error.exit_status


def _outputs() -> tuple[Output, Output]:
    """Return stdout and stderr, as people or machines read them."""
    if os.environ.get(f"{PREFIX}LOG_FORMAT") == "json":
        return JsonOutput(sys.stdout), JsonOutput(sys.stderr, "error")
    for_people = partial(Console, highlight=False, markup=False, soft_wrap=True)
    return Output(for_people()), Output(for_people(stderr=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m launcher", description="Runs the services of the Procfile until Ctrl-C."
    )
    parser.add_argument("--procfile", type=Path, default=Path("Procfile"), help="what to start (%(default)s)")
    parser.add_argument(
        "--gallery", type=Path, default=Path("starter/gallery"), help="images to start with (%(default)s)"
    )
    parser.add_argument(
        "--no-gallery", action="store_true", help="start without these images, now and with this data folder later"
    )
    parser.add_argument(
        "--ready-seconds", type=float, default=180, help="how long the start may take (%(default)s)", metavar="SECONDS"
    )
    return parser


def _run_services(arguments: argparse.Namespace, output: Output) -> NoReturn:
    environment = _environment()
    services = read_services(arguments.procfile, environment)
    gateway = next(service for service in services if service.name == GATEWAY)
    check_trust(gateway, services)
    with claimed(gateway.data):
        check_ports(ports_of(services))
        write_addresses(gateway.data, services)
        _supervise(arguments, output, environment, services, gateway)


def _supervise(
    arguments: argparse.Namespace,
    output: Output,
    environment: Mapping[str, str],
    services: Sequence[Service],
    gateway: Service,
) -> NoReturn:
    console = output.console
    gallery = StarterGallery(arguments.gallery, gateway.data, console)
    backends, gateways = [each for each in services if each is not gateway], processes_of(gateway, services)
    processes = [*backends, *gateways]
    output.name(*(process.name for process in processes))
    supervisor = Supervisor(output)
    try:
        console.print(f"Starting {', '.join(process.name for process in processes)} ...")
        deadline = time.monotonic() + arguments.ready_seconds
        environment = with_backends(environment, services)
        # The gateway can wait for the others by itself, but it would fill the log with warnings until they are up.
        for group in (backends, gateways):
            for process in group:
                supervisor.start([process], with_own_ports(environment, process))
            supervisor.wait_until_serving(group, deadline)
        if arguments.no_gallery:
            gallery.leave_out()
        gallery.fill(gateway.address, client_tls(gateway), own_token(gateway))
        supervisor.wait(0)
        console.print(welcome(processes, arguments.gallery))
        supervisor.wait_for_failure()
    finally:
        expect_force()
        console.print("Stopping ...")
        supervisor.stop()


def client_tls(service: Service) -> bool | Tls:
    """Return how a client of a service encrypts: with the service's own certificates, because both run here."""
    if service.tls is None:
        return False
    roots = Path(service.tls.tls_ca) if service.tls.tls_ca else None
    return Tls(roots, Path(service.tls.tls_cert), Path(service.tls.tls_key), service.tls.tls_server_name)


def own_token(service: Service) -> Callable[[], str] | None:
    """Return what signs the launcher's own calls as those of the suite; None if anyone may call."""
    if service.access is None:
        return None
    key = service.access.suite_key_file
    return lambda: SuiteKey.parse(key.read_bytes()).sign(callers.SUITE)


def _environment() -> dict[str, str]:
    """Return the services' environment: `python` is the running interpreter, and output is not buffered."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # Unless asked otherwise, gRPC is quiet about connections that were refused: anybody could fill the log with them.
    return {"GRPC_VERBOSITY": "ERROR", **os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


def welcome(services: Sequence[Service], gallery: Path) -> str:
    """Return the welcome text; each query is one line, after a line that begins with "# "."""
    gateway = next(service for service in services if service.name == GATEWAY)
    lines = ["", READY, ""]
    for service in services:
        http = f"   HTTP {service.http_url}" if service.http_url else ""
        metrics = f"   metrics {service.metrics_url}" if service.metrics_url else ""
        lines.append(f"  {service.name:10}{service.address}{http}{metrics}")
    if gateway.http_url:
        lines += ["", f"In a browser: {gateway.http_url}"]
    needed = "" if has_grpcurl() else " (`make grpcurl` first)"
    lines += ["", f"First queries, for another terminal in this folder{needed}:"]
    if gateway.access is not None:
        lines += ["# They need a token (`semsearch token create`):", "export SEMSEARCH_CLIENT_TOKEN=..."]
    for example in examples(gateway.address, gallery, _flags(gateway)):
        lines += ["", f"# {example.title}", example.line]
    lines += ["", "# The same with the command"]
    lines += command_lines(gateway.address, gallery)
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])


@dataclass(frozen=True)
class Example:
    """A command line and what it does."""

    title: str
    line: str


def examples(server: str, gallery: Path, flags: str = "-plaintext") -> tuple[Example, ...]:
    """Return five example queries for the gateway at `server`; two of them send an image from `gallery`.

    `flags` are those of grpcurl about encryption and tokens.
    """
    search, galleries = "semsearch.v1.SearchService", "semsearch.v1.GalleryService"
    to = f"{flags} {{}} {server}".lstrip()
    return (
        Example("Search images by words", _call(to, f"{search}/SearchByText", {"query": "boat", "page_size": 3})),
        Example("Tag an image file", _call_with_image(to, f"{search}/TagImage", gallery / _TAGGED, {"max_tags": 5})),
        Example("Find similar words", _call(to, f"{search}/SimilarWords", {"query": "dog", "page_size": 5})),
        Example(
            "Search images by an image",
            _call_with_image(to, f"{search}/SearchByImage", gallery / _SIMILAR, {"page_size": 3}),
        ),
        Example("List the images", _call(to, f"{galleries}/ListImages", {"page_size": 3})),
    )


def command_lines(server: str, gallery: Path) -> list[str]:
    """Return lines for the `semsearch` command; they name the gateway unless it is the one that it asks by default."""
    command = Path(sys.executable).parent / "semsearch"
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    named = [] if server == DEFAULT_SERVER else ["--server", server]
    return [
        shlex.join([str(command), *words, *named])
        for words in (["search", "boat"], ["tag", str(gallery / _TAGGED)], ["words", "dog"], ["list"])
    ]


def has_grpcurl() -> bool:
    """Return whether grpcurl exists, so that the examples can be run at once."""
    return GRPCURL.exists() or shutil.which("grpcurl") is not None


def _flags(gateway: Service) -> str:
    """Return grpcurl's flags about encryption and tokens."""
    token = "" if gateway.access is None else ' -H "authorization: Bearer $SEMSEARCH_CLIENT_TOKEN"'
    if gateway.tls is None:
        return f"-plaintext{token}"
    if not gateway.tls.tls_ca:  # the certificate is from a public authority, and callers need none
        return token.lstrip()
    certificate, key = _callers_certificate(gateway.tls)
    return shlex.join(["-cacert", gateway.tls.tls_ca, "-cert", certificate, "-key", key]) + token


def _callers_certificate(tls: TlsSettings) -> tuple[str, str]:
    """Return the files that `semsearch certs` makes for callers, or else those of the service."""
    made = [Path(tls.tls_ca).with_name(f"client.{kind}") for kind in ("crt", "key")]
    return (str(made[0]), str(made[1])) if all(file.exists() for file in made) else (tls.tls_cert, tls.tls_key)


def _grpcurl() -> str:
    """Return the grpcurl on the PATH if only that exists, else the one that `make grpcurl` builds."""
    return "grpcurl" if not GRPCURL.exists() and shutil.which("grpcurl") else str(GRPCURL)


def _call(to: str, method: str, request: Mapping[str, object]) -> str:
    data = f"-d {shlex.quote(json.dumps(request))}"
    return f"{_grpcurl()} {to.format(data)} {method}"


def _call_with_image(to: str, method: str, image: Path, request: Mapping[str, object]) -> str:
    content = f"$(base64 < {shlex.quote(str(image))} | tr -d '\\n')"
    message = json.dumps({"content": "%s", **request})
    return f'printf {shlex.quote(message)} "{content}" | {_grpcurl()} {to.format("-d @")} {method}'
