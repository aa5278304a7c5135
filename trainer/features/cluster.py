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

from trainer.errors import ClusterUnreachable, TrainingPackageMissing

LOCAL = "local"
_CONNECT_SECONDS = 5.0
# Holds the images that wait between reading and computing; Ray waits when it is full.
_OBJECT_STORE_BYTES = 256 * 2**20


@contextmanager
def opened_ray(address: str, workers: int) -> Iterator[None]:
    """Open Ray at "local" or at the address of a cluster, host:port; use the one that is open already.

    Raises:
        TrainingPackageMissing: Ray is not installed.
        ClusterUnreachable: nothing answers at the address.
    """
    if find_spec("ray") is None:
        raise TrainingPackageMissing("Ray is not installed. Install it: make ray-setup")
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
        raise ClusterUnreachable(
            f"No Ray cluster answers at {address} ({error}). Give the address that `ray start --head` printed, as "
            "host:port, or `--ray local` for workers on this machine."
        ) from error
