"""`semsearch index` and `sync` when the only gateway is killed while they upload."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.client_stack import COMMAND_SECONDS, ClientStack, client_stack, semsearch, semsearch_process
from tests.services.service_process import service_process
from tests.unit.gateway.doubles import overloaded, picture

NAMES = [f"{number:03}.png" for number in range(100)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with a hundred images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(picture("orange", seed=number))
    return folder


def paths(stack: ClientStack) -> list[str]:
    return sorted(line["attributes"]["path"] for line in semsearch(stack.server, "list", "--json").lines)


@contextmanager
def interrupted(stack: ClientStack, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Yield a command whose gateway is killed while it uploads, and the paths that it has acknowledged."""
    embedder = stack.embedder

    def refuse() -> None:
        if embedder.embedded_images >= 30:
            raise overloaded(0.02)

    embedder.before_images = refuse
    with semsearch_process(stack.server, *arguments, "--json") as running:
        assert running.stdout is not None
        acknowledged = [json.loads(running.stdout.readline())["path"] for _ in range(20)]
        stack.gateway.process.kill()
        embedder.before_images = lambda: None
        yield running, acknowledged


def ended(command: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return a command's exit status, and the rest of what it printed; `communicate` would lose what was read ahead."""
    assert command.stdout is not None
    assert command.stderr is not None
    out, err = command.stdout.read(), command.stderr.read()
    return command.wait(COMMAND_SECONDS), out, err


def test_a_gateway_that_dies_is_reported_and_a_rerun_resumes(tmp_path: Path, photos: Path) -> None:
    with client_stack(tmp_path / "data") as stack:
        with interrupted(stack, "index", photos, "--patience", 0.5) as (indexing, acknowledged):
            status, out, err = ended(indexing)
            assert status == 1
        acknowledged += [json.loads(line)["path"] for line in out.splitlines()]
        output = err.splitlines()
        assert output[-2].endswith(f"resume with: semsearch index {photos} --collection gallery")
        assert json.loads(output[-1])["error"]["message"] == f"No semsearch answers at {stack.server}."
    with client_stack(tmp_path / "data") as stack:
        assert set(acknowledged) <= set(paths(stack))
        assert semsearch(stack.server, "index", photos).status == 0
        assert paths(stack) == NAMES


def says_that_it_waits(command: subprocess.Popen[str], server: str) -> str:
    """Return what a command says up to the sentence that it waits for its server."""
    assert command.stderr is not None
    said = ""
    waits = re.compile(rf"No semsearch answers at {server}\. Waiting since \d\d:\d\d:\d\d, for up to 60 s\.\n")
    while not waits.search(said):
        line = command.stderr.readline()
        assert line, f"it ended: {said}"
        said += line
    return said


def test_a_run_goes_on_when_its_gateway_is_back(tmp_path: Path, photos: Path) -> None:
    with client_stack(tmp_path / "data") as stack, interrupted(stack, "index", photos) as (indexing, acknowledged):
        said = says_that_it_waits(indexing, stack.server)
        with service_process("gateway", tmp_path / "data", *stack.gateway_flags):
            status, out, err = ended(indexing)
            assert status == 0
            assert paths(stack) == NAMES
    *results, summary = [json.loads(line) for line in out.splitlines()]
    assert sorted([*acknowledged, *(each["path"] for each in results)]) == NAMES
    assert summary["summary"]["added"] + summary["summary"]["unchanged"] == 100
    assert (said + err).count("Waiting since") == 1
    assert "Traceback" not in said + err


def test_ctrl_c_ends_a_run_that_waits_for_its_gateway(tmp_path: Path, photos: Path) -> None:
    with client_stack(tmp_path / "data") as stack, interrupted(stack, "sync", photos) as (syncing, _):
        said = says_that_it_waits(syncing, stack.server)
        syncing.send_signal(signal.SIGINT)
        status, _, err = ended(syncing)
        assert status == 130
    assert "Traceback" not in said + err
    assert err.splitlines()[-1].endswith(
        f"What was added stays; resume with: semsearch sync {photos} --collection gallery"
    )
