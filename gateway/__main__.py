"""Start the gateway: `python -m gateway --help`."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from functools import partial

from threadpoolctl import threadpool_limits

from gateway.access import RULES
from gateway.api.costs import COSTS
from gateway.api.method_lanes import METHOD_LANES
from gateway.api.statuses import ERRORS
from gateway.settings import GatewaySettings
from gateway.wiring import open_gateway
from serving.safeguards import Methods
from serving.server import run
from serving.settings import load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT and return the exit status."""
    settings = load_settings(GatewaySettings, argv)
    if settings.shares_port and not settings.own_port:
        settings = settings.model_copy(update={"own_port": _free_port(settings.host)})
    # BLAS threads keep spinning after a matrix product: choosing an image's tags cost 50 ms of processor time, which
    # delayed the embedder.
    threadpool_limits(1, user_api="blas")
    return run(settings, partial(open_gateway, settings), Methods(ERRORS, RULES, COSTS, METHOD_LANES))


def _free_port(host: str) -> int:
    """Return a free port, which must be known before the server binds it: the lease names it."""
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
