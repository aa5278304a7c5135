"""Machines on one Linux host: network namespaces on a switch, whose links can be cut, slowed and disturbed.

A machine is a network namespace with one interface. Its link leads to a switch, a bridge in a namespace of its own. The
tests reach all machines through one interface of the host. Addresses are of 198.18.0.0/15, which is reserved for tests
of networks. It needs root.

Invariants:
1. Every namespace, interface and mount carries the id of the process that made it, so a later run finds and removes
   what a killed run has left, and touches nothing else.
2. A cut is silent: frames vanish, and neither side notices, as when the cable between two switches is pulled. A closed
   port or an interface that is down would be noticed at once.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "semsearch"
_INTERFACE = "eth0"
_BRIDGE = "bridge"
_SLOW = "slow"  # the forwarder's end of the pair whose other end is on the bridge
_HOST = 254  # the last number of the host's address
_NOBODY = "02:00:00:00:00:00"
_OWNED = re.compile(rf"{PREFIX}-(\d+)-")


def ip(*arguments: str) -> str:
    """Run `ip`, and return its output."""
    return _run("ip", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@dataclass
class Machine:
    """A network namespace with an address; `folder` is its disk."""

    name: str
    namespace: str
    address: str
    folder: Path
    link: Link

    def command(self, *command: str) -> list[str]:
        """Return the command that runs another on this machine; its process becomes that of the other."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *command]

    def mount_disk(self, megabytes: int) -> Disk:
        """Give the machine a disk of its own, which can become full."""
        source = f"{self.namespace}-disk"
        _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", source, str(self.folder))
        return Disk(self.folder)


@dataclass(frozen=True)
class Disk:
    """A small file system."""

    folder: Path

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Leave no space."""
        with self.ballast.open("wb", buffering=0) as file:
            for block in (2**16, 2**12):  # a page is the least that a file takes
                with suppress(OSError):
                    while True:
                        file.write(bytes(block))

    def free(self) -> None:
        """Give the space back."""
        self.ballast.unlink(missing_ok=True)


@dataclass
class Link:
    """The link of a machine to the switch: it works, or it is cut, slow or disturbed."""

    switch: str
    port: str
    forwarder: Forwarder | None = None

    def cut(self) -> None:
        """Let all frames vanish."""
        self.heal()
        ip("-n", self.switch, "link", "set", self.port, "nomaster")

    def slow(self, round_trip: float, *, peers: Iterable[Machine] = ()) -> None:
        """Add that many seconds to every round trip; given peers, only to those with them."""
        self._forward("--delay", str(round_trip / 2), *(f"--peer={peer.address}" for peer in peers))

    def disturb(self, *, dropped: float, overtaken: float) -> None:
        """Lose a share of the frames in each direction, and let another share be overtaken by those behind."""
        self._forward("--dropped", str(dropped), "--overtaken", str(overtaken))

    def _forward(self, *flags: str) -> None:
        self.cut()
        self.forwarder = Forwarder(self.switch, self.port, flags)

    def heal(self) -> None:
        """Make the link work again."""
        if self.forwarder is not None:
            self.forwarder.close()
            self.forwarder = None
        ip("-n", self.switch, "link", "set", self.port, "master", _BRIDGE)


class Forwarder:
    """A process between a port and the switch that delays or loses frames (`forwarder.py`)."""

    def __init__(self, switch: str, port: str, flags: Sequence[str]) -> None:
        self._switch = switch
        ip("-n", switch, "link", "add", _SLOW, "type", "veth", "peer", "name", f"{_SLOW}-end")
        ip("-n", switch, "link", "set", f"{_SLOW}-end", "master", _BRIDGE)
        for name in (_SLOW, f"{_SLOW}-end"):
            ip("-n", switch, "link", "set", name, "up")
        command = [sys.executable, str(Path(__file__).with_name("forwarder.py")), port, _SLOW, *flags]
        self._process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{switch}", "--", *command], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the forwarder ended"

    def close(self) -> None:
        """End the process and remove its interfaces."""
        self._process.kill()
        self._process.communicate()
        ip("-n", self._switch, "link", "del", _SLOW)


@dataclass
class Network:
    """Machines on one switch."""

    owner: str
    folder: Path
    subnet: str
    machines: dict[str, Machine] = field(default_factory=dict)

    @property
    def switch(self) -> str:
        return f"{self.owner}-switch"

    def add(self, name: str) -> Machine:
        """Add a machine to the network."""
        namespace, port = f"{self.owner}-{name}", f"to-{name}"
        address = f"{self.subnet}.{len(self.machines) + 1}"
        ip("netns", "add", namespace)
        ip("link", "add", port, "netns", self.switch, "type", "veth", "peer", "name", _INTERFACE, "netns", namespace)
        ip("-n", namespace, "addr", "add", f"{address}/24", "dev", _INTERFACE)
        for interface in ("lo", _INTERFACE):
            ip("-n", namespace, "link", "set", interface, "up")
        ip("-n", self.switch, "link", "set", port, "up", "master", _BRIDGE)
        folder = self.folder / name
        folder.mkdir()
        machine = Machine(name, namespace, address, folder, Link(self.switch, port))
        self.machines[name] = machine
        return machine

    def cut_between(self, one: Machine, other: Machine) -> None:
        """Let frames between two machines vanish: each sends them to a hardware address that nobody has."""
        for here, there in ((one, other), (other, one)):
            neighbor = ("neigh", "replace", there.address, "lladdr", _NOBODY, "nud", "permanent", "dev", _INTERFACE)
            ip("-n", here.namespace, *neighbor)

    def heal_between(self, one: Machine, other: Machine) -> None:
        """Undo `cut_between`."""
        for here, there in ((one, other), (other, one)):
            ip("-n", here.namespace, "neigh", "del", there.address, "dev", _INTERFACE)


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Make a network with its data in a folder; at the end, remove it with all processes on its machines."""
    remove_leftovers()
    owner = f"{PREFIX}-{os.getpid()}"
    made = Network(owner, folder, _free_subnet())
    # A name of its own: the system removes the uplink of an earlier network some time after its namespace.
    uplink = f"{PREFIX[:3]}{secrets.token_hex(4)}"
    try:
        ip("netns", "add", made.switch)
        ip("-n", made.switch, "link", "add", _BRIDGE, "type", "bridge")
        ip("-n", made.switch, "link", "set", _BRIDGE, "up")
        ip("link", "add", uplink, "type", "veth", "peer", "name", "to-host", "netns", made.switch)
        ip("addr", "add", f"{made.subnet}.{_HOST}/24", "dev", uplink)
        ip("link", "set", uplink, "up")
        ip("-n", made.switch, "link", "set", "to-host", "up", "master", _BRIDGE)
        yield made
    finally:
        _remove(lambda pid: pid == os.getpid())


def remove_leftovers() -> None:
    """Remove the networks of processes that no longer exist."""
    _remove(lambda pid: not Path(f"/proc/{pid}").exists())


def _remove(is_owner: Callable[[int], bool]) -> None:
    """Remove all mounts, processes and namespaces of some owners."""
    namespaces = [each for each in ip("netns", "list").split() if _is_owned(each, is_owner)]
    for namespace in namespaces:
        for pid in ip("netns", "pids", namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    for line in Path("/proc/mounts").read_text().splitlines():
        source, target, *_ = line.split()
        if _is_owned(source, is_owner):
            _run("umount", "--lazy", target)
    for namespace in namespaces:  # the other ends of its links go with it
        ip("netns", "del", namespace)


def _is_owned(name: str, is_owner: Callable[[int], bool]) -> bool:
    found = _OWNED.match(name)
    return bool(found) and is_owner(int(found[1]))


def _free_subnet() -> str:
    """Return the first three numbers of a network that this host has no address in."""
    interfaces = json.loads(ip("-4", "-json", "addr"))
    taken = {each["local"].rpartition(".")[0] for interface in interfaces for each in interface["addr_info"]}
    return random.choice([subnet for a in (18, 19) for b in range(256) if (subnet := f"198.{a}.{b}") not in taken])
