"""Runs the suite from its checks to its end.

Settings and ports are checked, then the services are started, awaited, the gallery is filled the first time, and the
first queries are shown.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from launcher.errors import LauncherError
from launcher.interrupts import ignore_signals
from launcher.ports import check_ports, ports_of
from launcher.readiness import wait_until_serving
from launcher.services import GATEWAY, read_services, with_backends
from launcher.starter_gallery import StarterGallery
from launcher.supervisor import Supervisor
from launcher.welcome import welcome


def run(argv: Sequence[str] | None = None) -> int:
    """Runs the suite until it cannot go on, and returns the exit status.

    Raises:
        Interrupted: a signal asked to end; everything is stopped.
    """
    arguments = _parser().parse_args(argv)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        _run_services(arguments, console)
    except LauncherError as error:
        Console(stderr=True, highlight=False, markup=False).print(str(error), soft_wrap=True)
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m launcher", description="Runs the services of the Procfile until Ctrl-C."
    )
    parser.add_argument("--procfile", type=Path, default=Path("Procfile"), help="what to start (%(default)s)")
    parser.add_argument(
        "--gallery", type=Path, default=Path("starter/gallery"), help="images to begin with (%(default)s)"
    )
    parser.add_argument(
        "--ready-seconds", type=float, default=180, help="how long the start may take (%(default)s)", metavar="SECONDS"
    )
    return parser


def _run_services(arguments: argparse.Namespace, console: Console) -> NoReturn:
    environment = _environment()
    services = read_services(arguments.procfile, environment)
    check_ports(ports_of(services))
    gateway = next(service for service in services if service.name == GATEWAY)
    gallery = StarterGallery(arguments.gallery, gateway.data, console)
    supervisor = Supervisor(console, max(len(service.name) for service in services))
    try:
        console.print(f"Starting {', '.join(service.name for service in services)} ...")
        deadline = time.monotonic() + arguments.ready_seconds
        # The gateway could wait for the others by itself, but would fill the log with warnings until they are up.
        for group in ([each for each in services if each is not gateway], [gateway]):
            supervisor.start(group, with_backends(environment, services))
            wait_until_serving(group, supervisor, deadline)
        gallery.fill(gateway.address)
        supervisor.wait(0)
        console.print(welcome(services, arguments.gallery))
        supervisor.wait_for_end()
    finally:
        ignore_signals()
        console.print("Stopping ...")
        supervisor.stop()


def _environment() -> dict[str, str]:
    """Returns the environment of the services: `python` is the one that runs this, and what they log shows at once."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
