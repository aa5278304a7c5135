"""The server that a command calls: the given one, or the folder's suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from semsearch import suites
from semsearch.cli import addresses, options
from semsearch.client import DEFAULT_SERVER
from semsearch.index_operations import DEFAULT_INDEX_ADDRESS
from semsearch.suites import Suite
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DATA", "CLIENT_SERVER", "GATEWAY_PORT", "CLIENT_INDEX_ADDRESS", "INDEX_PORT"):
        monkeypatch.delenv(f"SEMSEARCH_{variable}", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    return tmp_path / "var"


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def runs(data: Path, gateway: str = "127.0.0.1:6000", pid: int | None = None) -> None:
    text = json.dumps({"gateway": gateway, "pid": os.getpid() if pid is None else pid})
    (data / "suite.json").write_text(text)


def test_the_index_service_of_the_suite_is_asked_too(data: Path) -> None:
    app = typer.Typer()

    @app.command()
    def command(address: addresses.IndexAddress = DEFAULT_INDEX_ADDRESS) -> None:
        typer.echo(address)

    def asked(**environment: str) -> str:
        return CliRunner().invoke(app, [], env=environment).stdout.strip()

    assert asked() == DEFAULT_INDEX_ADDRESS
    assert asked(SEMSEARCH_INDEX_PORT="6002") == "127.0.0.1:6002"
    text = json.dumps({"gateway": "127.0.0.1:6000", "index": "127.0.0.1:6003", "pid": os.getpid()})
    (data / "suite.json").write_text(text)
    assert asked(SEMSEARCH_INDEX_PORT="6002") == "127.0.0.1:6003"


def asked(*arguments: str, **environment: str) -> tuple[str, str]:
    """Return the server that a command would call, and its message about that."""
    app = typer.Typer()

    @app.command()
    def command(server: options.Server = DEFAULT_SERVER) -> None:
        typer.echo(server)

    done = CliRunner().invoke(app, list(arguments), env=environment)
    assert done.exit_code == 0, done.output
    return done.stdout.strip(), done.stderr.strip()


def test_the_suite_that_runs_in_the_folder_is_asked(data: Path) -> None:
    assert asked() == (DEFAULT_SERVER, "")
    assert asked(SEMSEARCH_GATEWAY_PORT="6001") == ("127.0.0.1:6001", "")
    runs(data)
    assert asked(SEMSEARCH_GATEWAY_PORT="6001") == ("127.0.0.1:6000", "")


def test_data_may_lie_elsewhere(data: Path, tmp_path: Path) -> None:
    runs(data)
    (tmp_path / "other").mkdir()
    runs(tmp_path / "other", "127.0.0.1:7000")
    assert asked(SEMSEARCH_DATA=str(tmp_path / "other")) == ("127.0.0.1:7000", "")


def test_a_given_server_wins_and_a_foreign_one_is_reported(data: Path) -> None:
    assert asked("--server", "far:1") == ("far:1", "")
    runs(data)
    for arguments, environment in ((["--server", "far:1"], {}), ([], {"SEMSEARCH_CLIENT_SERVER": "far:1"})):
        server, said = asked(*arguments, **environment)
        assert server == "far:1"
        assert said == "Using far:1; this folder's own suite is at 127.0.0.1:6000."
    assert asked("--server", "localhost:6000") == ("localhost:6000", "")


def test_a_stopped_suite_is_reported_and_not_called(data: Path) -> None:
    runs(data, pid=ended_process())
    server, said = asked()
    assert server == DEFAULT_SERVER
    assert "is not running" in said
    (data / "suite.json").unlink()
    (data / "launcher").mkdir()
    assert "is not running" in asked()[1]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"gateway": "x", "pid": "y"}', '{"gateway": "x"}', "\udcff"])
def test_a_file_that_is_not_the_launchers_is_passed_over(data: Path, text: str) -> None:
    (data / "suite.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert suites.of_this_folder() == Suite()


def test_addresses_of_this_machine_are_the_same() -> None:
    assert suites.same_address("localhost:1", "127.0.0.1:1")
    assert suites.same_address("dns:///[::1]:1", "127.0.0.1:1")
    assert not suites.same_address("localhost:1", "localhost:2")
    assert not suites.same_address("far:1", "127.0.0.1:1")
