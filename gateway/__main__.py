"""Starts the gateway: `python -m gateway --help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from threadpoolctl import threadpool_limits

from gateway.api.statuses import ERRORS
from gateway.settings import GatewaySettings
from gateway.wiring import open_gateway
from serving.server import run
from serving.settings import load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT and returns the exit status."""
    settings = load_settings(GatewaySettings, argv)
    # The threads of a product go on spinning for the next one: choosing the tags of an image cost 50 ms of processor
    # time, for which the embedder waited.
    threadpool_limits(1, user_api="blas")
    return run(settings, partial(open_gateway, settings), ERRORS)


if __name__ == "__main__":
    sys.exit(main())
