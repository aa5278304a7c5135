"""What is shown when everything is up: where the services are, and first queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from launcher.examples import examples, has_grpcurl
from launcher.services import GATEWAY, Service

READY = "semsearch is ready:"


def welcome(services: Sequence[Service], gallery: Path) -> str:
    """Returns the text; each query is a line of its own, after a line that begins with "# "."""
    gateway = next(service for service in services if service.name == GATEWAY)
    lines = ["", READY, ""]
    for service in services:
        metrics = f"   metrics {service.metrics_url}" if service.metrics_url else ""
        lines.append(f"  {service.name:10}{service.address}{metrics}")
    needed = "" if has_grpcurl() else " (`make grpcurl` first)"
    lines += ["", f"First queries, for another terminal in this folder{needed}:"]
    for example in examples(gateway.address, gallery):
        lines += ["", f"# {example.title}", example.line]
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])
