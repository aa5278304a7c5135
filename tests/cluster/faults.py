"""What goes wrong on a machine or between two, and what undoes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.suite import Suite

ROUND_TRIP_SECONDS = 0.2


@dataclass(frozen=True)
class Fault:
    """A fault; if `others_serve`, the suite must answer again before it is healed."""

    name: str
    strike: Callable[[Suite], None]
    heal: Callable[[Suite], None]
    others_serve: bool = True


def killed(name: str, *, others_serve: bool = True) -> Fault:
    """Kill a server, and start it again."""

    def heal(suite: Suite) -> None:
        suite.servers[name].start()
        suite.servers[name].wait_until_ready()

    return Fault(f"kill {name}", lambda suite: suite.servers[name].kill(), heal, others_serve)


def restarted(kind: str) -> Fault:
    """Restart the servers of a kind, one after the other, each when the one before serves again."""

    def strike(suite: Suite) -> None:
        for name, server in suite.servers.items():
            if name.startswith(kind):
                server.stop()
                server.start()
                server.wait_until_ready()

    return Fault(f"restart every {kind}", strike, lambda suite: None)


def cut(name: str, *, others_serve: bool = True) -> Fault:
    """Cut the link of a machine."""
    return Fault(
        f"cut the link of {name}",
        lambda suite: suite.machine(name).link.cut(),
        lambda suite: suite.machine(name).link.heal(),
        others_serve,
    )


def cut_between(one: str, other: str, *, others_serve: bool = True) -> Fault:
    """Cut two machines from each other."""
    return Fault(
        f"cut {one} from {other}",
        lambda suite: suite.network.cut_between(suite.machine(one), suite.machine(other)),
        lambda suite: suite.network.heal_between(suite.machine(one), suite.machine(other)),
        others_serve,
    )


def slow(name: str) -> Fault:
    """Make the link of a machine slow."""
    return Fault(
        f"slow the link of {name} to {1000 * ROUND_TRIP_SECONDS:.0f} ms",
        lambda suite: suite.machine(name).link.slow(ROUND_TRIP_SECONDS),
        lambda suite: suite.machine(name).link.heal(),
    )


def full(name: str, *, others_serve: bool = True) -> Fault:
    """Fill the disk of a machine."""
    return Fault(
        f"fill the disk of {name}",
        lambda suite: suite.disks[name].fill(),
        lambda suite: suite.disks[name].free(),
        others_serve,
    )


def full_node(name: str) -> Fault:
    """Fill the disk of a node of Weaviate; one that ran out of space stays read-only until it starts again."""

    def heal(suite: Suite) -> None:
        suite.disks[name].free()
        suite.servers[name].stop()
        suite.servers[name].start()
        suite.servers[name].wait_until_ready()

    return Fault(f"fill the disk of {name}", lambda suite: suite.disks[name].fill(), heal)


OURS = (
    full("images", others_serve=False),  # first, because bytes that are stored already need no space
    killed("gateway-1"),
    killed("gateway-2"),
    killed("embedder-1"),
    killed("embedder-2"),
    killed("index", others_serve=False),
    cut("gateway-1"),
    cut("embedder-1"),
    cut_between("gateway-1", "index"),
    cut_between("gateway-2", "index"),
    slow("embedder-1"),
    slow("index"),
    full("index", others_serve=False),
)
RESTARTS = (restarted("gateway"), restarted("embedder"), restarted("index"))
NODES = (
    killed("weaviate-1"),
    killed("weaviate-2"),
    killed("weaviate-3"),
    cut("weaviate-1"),
    slow("weaviate-2"),
    full_node("weaviate-3"),
)
