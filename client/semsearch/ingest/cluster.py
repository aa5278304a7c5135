"""Opens Ray: workers on this machine, or a cluster that this machine is part of.

Ray reports usage to its makers by default; that is switched off here. A Ray on this machine listens on the
loopback address only, and accepts the processes of this run alone (a token that is never written to disk).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from semsearch.errors import InvalidRequest, ServerUnreachable

LOCAL = "local"
_CONNECT_SECONDS = 5.0
# Holds lists of files and results only: the workers read and send the images themselves.
_OBJECT_STORE_BYTES = 100 * 2**20


@contextmanager
def opened_ray(address: str, workers: int) -> Iterator[None]:
    """Open Ray at "local" or at the address of a cluster, host:port; use the one that is open already.

    Raises:
        InvalidRequest: Ray is not installed.
        ServerUnreachable: nothing answers at the address.
    """
    if find_spec("ray") is None:
        raise InvalidRequest("Ray is not installed.", hint='Run: pip install "semsearch[ray]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else warnings that concern nobody go to the terminal
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    if address == LOCAL:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    else:
        _check_reachable(address)
    import ray  # reads these variables

    if ray.is_initialized():
        yield
        return
    if address == LOCAL:
        ray.init(
            address=LOCAL,  # else Ray would join any cluster that it finds on this machine
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    else:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Fail at once: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ServerUnreachable(
            f"No Ray cluster answers at {address} ({error}).",
            hint="Give the host:port that `ray start --head` printed, or `local` for workers on this machine.",
        ) from error
