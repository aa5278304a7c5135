"""What goes wrong on a machine or between two, and what undoes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.load import ADD, DELETE, READ, SEARCH
from tests.cluster.suite import Suite

ROUND_TRIP_SECONDS = 0.2
READS = frozenset({SEARCH, READ})
ALL = READS | {ADD, DELETE}
NONE = frozenset[str]()


@dataclass(frozen=True)
class Fault:
    """A fault, and the kinds of calls that the suite must answer again before it is healed."""

    name: str
    strike: Callable[[Suite], None]
    heal: Callable[[Suite], None]
    served: frozenset[str] = ALL


def killed(name: str, *, served: frozenset[str] = ALL) -> Fault:
    """Kill a server, and start it again."""

    def heal(suite: Suite) -> None:
        suite.servers[name].start()
        suite.servers[name].wait_until_ready()

    return Fault(f"kill {name}", lambda suite: suite.servers[name].kill(), heal, served)


def restarted(kind: str) -> Fault:
    """Restart the servers of a kind, one after the other, each when the one before serves again."""

    def strike(suite: Suite) -> None:
        for name, server in suite.servers.items():
            if name.startswith(kind):
                server.stop()
                server.start()
                server.wait_until_ready()

    return Fault(f"restart every {kind}", strike, lambda suite: None)


def cut(name: str, *, served: frozenset[str] = ALL) -> Fault:
    """Cut the link of a machine."""
    return Fault(
        f"cut the link of {name}",
        lambda suite: suite.machine(name).link.cut(),
        lambda suite: suite.machine(name).link.heal(),
        served,
    )


def cut_between(one: str, other: str, *, served: frozenset[str] = ALL) -> Fault:
    """Cut two machines from each other."""
    return Fault(
        f"cut {one} from {other}",
        lambda suite: suite.network.cut_between(suite.machine(one), suite.machine(other)),
        lambda suite: suite.network.heal_between(suite.machine(one), suite.machine(other)),
        served,
    )


def slow(name: str, *, kind: str = "") -> Fault:
    """Make the link of a machine slow; given a kind of machines, only for what it exchanges with them."""

    def strike(suite: Suite) -> None:
        suite.machine(name).link.slow(ROUND_TRIP_SECONDS, peers=suite.machines(kind) if kind else ())

    what = f"{name} – {kind}" if kind else f"the link of {name}"
    return Fault(
        f"slow {what} to {1000 * ROUND_TRIP_SECONDS:.0f} ms", strike, lambda suite: suite.machine(name).link.heal()
    )


def full(name: str, *, served: frozenset[str] = ALL) -> Fault:
    """Fill the disk of a machine."""
    return Fault(
        f"fill the disk of {name}",
        lambda suite: suite.disks[name].fill(),
        lambda suite: suite.disks[name].free(),
        served,
    )


def full_node(name: str, *, served: frozenset[str]) -> Fault:
    """Fill the disk of a node of Weaviate; one that ran out of space stays read-only until it starts again.

    It is killed, because it does not end by itself within a minute.
    """

    def heal(suite: Suite) -> None:
        suite.disks[name].free()
        suite.servers[name].kill()
        suite.servers[name].start()
        suite.servers[name].wait_until_ready()

    return Fault(f"fill the disk of {name}", lambda suite: suite.disks[name].fill(), heal, served)


# While one of a kind is away; calls of all kinds are answered.
FRONT = (
    killed("gateway-1"),
    killed("gateway-2"),
    killed("embedder-1"),
    killed("embedder-2"),
    cut("gateway-1"),
    cut("embedder-1"),
    cut_between("gateway-1", "index"),
    cut_between("gateway-2", "index"),
)
# While the index, the only one, is away, or cannot write.
INDEX = (killed("index", served=NONE), cut("index", served=NONE), full("index", served=READS))
SLOW_LINKS = (slow("embedder-1", kind="gateway"), slow("index", kind="gateway"))
RESTARTS = (restarted("gateway"), restarted("embedder"), restarted("index"))


def of_nodes(served: frozenset[str]) -> tuple[Fault, ...]:
    """Return the faults of Weaviate's nodes; `served` are the calls that go on without a node."""
    return (
        killed("weaviate-1", served=served),
        killed("weaviate-2", served=served),
        killed("weaviate-3", served=served),
        cut("weaviate-1", served=served),
        slow("index", kind="weaviate"),
        slow("weaviate-2"),
        full_node("weaviate-3", served=served),
    )


IMAGES = (full("images", served=READS),)  # first, because bytes that are stored already need no space
