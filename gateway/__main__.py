"""Starts the gateway: `python -m gateway --help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from gateway.api.statuses import ERRORS
from gateway.settings import GatewaySettings
from gateway.wiring import open_gateway
from serving.server import run
from serving.settings import load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit status."""
    settings = load_settings(GatewaySettings, argv)
    return run(settings, partial(open_gateway, settings), ERRORS)


if __name__ == "__main__":
    sys.exit(main())
