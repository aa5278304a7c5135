"""The network of the tests itself: links are cut and slowed, disks become full, a killed run leaves nothing behind."""

from __future__ import annotations

import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.network import PREFIX, Machine, Network, ip, network, remove_leftovers
from tests.needs import need_namespaces

PORT = 7
ECHO = f"""
import socket, threading

def answer(connection):
    while data := connection.recv(65536):
        connection.sendall(data)

server = socket.create_server(("0.0.0.0", {PORT}))
print("ready", flush=True)
while True:
    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
"""
CRASH = """
import os, signal, subprocess, sys
from pathlib import Path
from tests.cluster.network import network

with network(Path(sys.argv[1])) as net:
    machine = net.add("one")
    machine.mount_disk(1)
    print(subprocess.Popen(machine.command("sleep", "600"), stdout=subprocess.DEVNULL).pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
ROUND_TRIP = 0.2
SILENCE_SECONDS = 0.3
DEADLINE = 20.0  # TCP sends again after 0.2, 0.4, 0.8 … s


DISTURBED_BYTES = 2**22


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    need_namespaces()
    with network(tmp_path_factory.mktemp("network")) as made:
        yield made


@pytest.fixture(scope="module")
def echo(net: Network) -> Iterator[Machine]:
    """A machine that sends everything back."""
    machine = net.add("echo")
    with subprocess.Popen(machine.command(sys.executable, "-c", ECHO), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield machine
        process.kill()


@contextmanager
def connection(machine: Machine) -> Iterator[socket.socket]:
    with socket.create_connection((machine.address, PORT), DEADLINE) as made:
        assert round_trip(made) < DEADLINE
        yield made


def round_trip(to: socket.socket) -> float:
    """Return the seconds that a message takes there and back."""
    start = time.perf_counter()
    to.sendall(b"?")
    assert to.recv(1) == b"?"
    return time.perf_counter() - start


def there_and_back(to: socket.socket, content: bytes) -> bytes:
    """Send bytes, and return those that come back."""
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(to.sendall, content)
        received = bytearray()
        while len(received) < len(content):
            received += to.recv(2**20)
        sending.result()
    return bytes(received)


def tcp_segments_sent_again(machine: Machine) -> int:
    """Return how many segments a machine's kernel has sent more than once."""
    show = subprocess.run(machine.command("cat", "/proc/self/net/snmp"), capture_output=True, text=True, check=True)
    names, values = (line.split() for line in show.stdout.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


def runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended stays listed until somebody asks how."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def assert_silent(to: socket.socket) -> None:
    """Check that a message gets no answer; the connection stays open."""
    to.settimeout(SILENCE_SECONDS)
    to.sendall(b"?")
    with pytest.raises(TimeoutError):
        to.recv(1)
    to.settimeout(DEADLINE)


def test_a_cut_link_is_silent_and_its_connections_go_on_when_it_is_healed(echo: Machine) -> None:
    with connection(echo) as to:
        echo.link.cut()
        try:
            assert_silent(to)
        finally:
            echo.link.heal()
        assert to.recv(1) == b"?"


def test_a_slow_link_adds_its_delay_and_changes_no_byte(echo: Machine) -> None:
    content = random.Random(1).randbytes(2**20)
    with connection(echo) as to:
        usual = statistics.median(round_trip(to) for _ in range(9))
        echo.link.slow(ROUND_TRIP)
        try:
            slow = statistics.median(round_trip(to) for _ in range(9))
            received = there_and_back(to, content)
        finally:
            echo.link.heal()
    assert received == content
    assert ROUND_TRIP < slow - usual < 1.2 * ROUND_TRIP


def test_a_disturbed_link_loses_and_reorders_frames_and_tcp_repairs_that(echo: Machine) -> None:
    content = random.Random(2).randbytes(DISTURBED_BYTES)
    before = tcp_segments_sent_again(echo)
    with connection(echo) as to:
        echo.link.disturb(dropped=0.02, overtaken=0.05)
        try:
            received = there_and_back(to, content)
        finally:
            echo.link.heal()
    assert received == content
    assert tcp_segments_sent_again(echo) > before


def test_a_link_is_slow_to_some_machines_only(net: Network, echo: Machine) -> None:
    far = net.add("far")
    echo.link.slow(ROUND_TRIP, peers=[far])
    try:
        with connection(echo) as to:
            assert statistics.median(round_trip(to) for _ in range(9)) < ROUND_TRIP
        ask = f"import socket; socket.create_connection(('{echo.address}', {PORT})).close()"
        start = time.perf_counter()
        subprocess.run(far.command(sys.executable, "-c", ask), check=True)
        assert time.perf_counter() - start > ROUND_TRIP
    finally:
        echo.link.heal()


def test_two_machines_are_cut_from_each_other_only(net: Network, echo: Machine) -> None:
    other = net.add("other")
    ask = f"import socket; socket.create_connection(('{echo.address}', {PORT}), {SILENCE_SECONDS})"

    def reaches() -> bool:
        return (
            subprocess.run(other.command(sys.executable, "-c", ask), capture_output=True, check=False).returncode == 0
        )

    assert reaches()
    net.cut_between(other, echo)
    assert not reaches()
    with connection(echo):
        pass
    net.heal_between(other, echo)
    assert reaches()


def test_a_disk_is_full_until_it_is_freed(net: Network) -> None:
    disk = net.add("small").mount_disk(1)
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        (disk.folder / "file").write_bytes(b"x")
    disk.free()
    (disk.folder / "file").write_bytes(b"x")


def test_what_a_killed_run_leaves_is_removed(net: Network, tmp_path: Path) -> None:
    """Its namespaces, its disks and the processes on its machines; those of a run that still exists stay."""
    with subprocess.Popen([sys.executable, "-c", CRASH, str(tmp_path)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        left = int(run.stdout.readline())
    assert run.returncode == -signal.SIGKILL
    assert f"{PREFIX}-{run.pid}-one" in ip("netns", "list")
    remove_leftovers()
    assert f"{PREFIX}-{run.pid}-" not in ip("netns", "list") + Path("/proc/mounts").read_text()
    until = time.monotonic() + DEADLINE
    while runs(left):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert net.switch in ip("netns", "list")
