"""`semsearch token`: what it writes is what the services accept."""

from __future__ import annotations

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.protobuf import json_format
from semsearch.access.v1 import token_file_pb2 as pb
from semsearch.cli import app
from semsearch.errors import InvalidRequest, NotFound
from semsearch.token_file import TokenFile
from typer.testing import CliRunner, Result

from serving.access.authentication import authentication
from serving.access.errors import TokenExpired, TokenUnknown
from serving.access.settings import AccessSettings
from serving.access.tokens import MAX_COLLECTIONS, MAX_TOKENS, Tokens
from serving.callers import Caller, Role


class Command:
    """The command, on the data folder that is given."""

    def __init__(self, data: Path) -> None:
        self.path = data / "tokens.json"
        self._variables = {"SEMSEARCH_DATA": str(data), "SEMSEARCH_TOKENS": ""}

    def run(self, *arguments: str) -> Result:
        result = CliRunner(env=self._variables).invoke(app, ["token", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    def tokens(self) -> Tokens:
        return Tokens.parse(self.path.read_bytes())

    def caller(self, token: str, after: float = 0) -> Caller:
        return self.tokens().identify(token, time.time() + after).caller

    def fill(self, *expired_days: float) -> None:
        """Copy the only token until the file is full; the first copies expired these days ago."""
        file = json_format.Parse(self.path.read_bytes(), pb.TokenFile())
        for number in range(MAX_TOKENS - 1):
            copy = file.tokens.add()
            copy.CopyFrom(file.tokens[0])
            copy.id, copy.caller = f"{number:012x}", "job"
            if number < len(expired_days):
                copy.expire_time.FromSeconds(int(time.time() - expired_days[number] * 86_400))
        self.path.write_text(json_format.MessageToJson(file), encoding="utf-8")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "data")


def test_a_token_is_made_listed_replaced_and_revoked(command: Command) -> None:
    made = command.run("create", "ann", "--role", "write", "--collection", "trip", "--expires", "30d")
    old = made.stdout.strip()
    assert "SEMSEARCH_TOKENS=" in made.stderr
    assert old not in made.stderr
    assert command.caller(old) == Caller("ann", Role.WRITE, frozenset({"trip"}))
    with pytest.raises(TokenExpired):
        command.caller(old, 31 * 86_400)
    new = json.loads(command.run("create", "ann", "--role", "admin", "--json").stdout)["token"]
    assert command.caller(old)
    first, second = json.loads(command.run("list", "--json").stdout)
    assert (first["caller"], first["role"], first["collections"]) == ("ann", "write", ["trip"])
    assert second["expire_time"] is None
    command.run("revoke", first["id"])
    with pytest.raises(TokenUnknown):
        command.caller(old)
    assert command.caller(new) == Caller("ann", Role.ADMIN)
    command.run("revoke", "--caller", "ann")
    assert "0 tokens" in command.run("list").stderr


def test_services_start_with_the_files_and_nobody_else_may_read_them(command: Command) -> None:
    token = command.run("create", "ann", "--role", "read").stdout.strip()
    key = command.path.with_name("suite.key")
    made = key.read_bytes()
    assert authentication(AccessSettings(tokens=str(command.path)))
    for file in (command.path, key):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    command.path.chmod(0o640)  # an operator lets the group of the services read it
    command.run("create", "bob", "--role", "read")
    assert stat.S_IMODE(command.path.stat().st_mode) == 0o640
    assert key.read_bytes() == made
    assert command.caller(token)


def test_commands_at_the_same_time_lose_nothing(command: Command) -> None:
    file = TokenFile(command.path)
    with ThreadPoolExecutor(8) as threads:
        made = [*threads.map(lambda number: file.add(f"c{number}", "read", [], None), range(16))]
    assert {command.caller(token).name for _, token in made} == {f"c{number}" for number in range(16)}


def test_what_is_wrong_is_said_and_changes_nothing(command: Command) -> None:
    token = command.run("create", "ann", "--role", "read").stdout.strip()
    for wrong in (
        ("create", "a b", "--role", "read"),
        ("create", "ann", "--role", "read", "--collection", "Trip"),
        ("create", "ann", "--role", "read", "--expires", "5"),
        ("revoke",),
    ):
        with pytest.raises(InvalidRequest):
            command.run(*wrong)
    with pytest.raises(NotFound, match='the caller "bob"'):
        command.run("revoke", "--caller", "ann", "--caller", "bob")
    assert command.caller(token)
    command.path.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidRequest, match="not a token file"):
        command.run("create", "bob", "--role", "read")
    assert command.path.read_text(encoding="utf-8") == "{"


def test_a_token_that_would_make_the_file_unusable_is_refused(command: Command) -> None:
    token = command.run("create", "ann", "--role", "read").stdout.strip()
    command.fill(29)
    before = command.path.read_bytes()
    with pytest.raises(InvalidRequest, match=r"10,000 tokens"):
        command.run("create", "bob", "--role", "read")
    assert command.path.read_bytes() == before
    assert command.caller(token)
    command.run("revoke", "--caller", "job")
    assert command.run("create", "bob", "--role", "read")
    assert len(command.tokens()) == 2


def test_tokens_that_expired_long_ago_make_room(command: Command) -> None:
    token = command.run("create", "ann", "--role", "read").stdout.strip()
    command.fill(31, 29)
    added = command.run("create", "bob", "--role", "read").stdout.strip()
    assert len(command.tokens()) == MAX_TOKENS
    assert command.caller(token)
    assert command.caller(added)


def test_a_token_has_at_most_as_many_collections_as_services_accept(command: Command) -> None:
    file, collections = TokenFile(command.path), [f"c{number}" for number in range(MAX_COLLECTIONS)]
    _, token = file.add("ann", "read", [*collections, "c0"], None)
    with pytest.raises(InvalidRequest, match=r"1,000 collections"):
        file.add("ann", "read", [*collections, "another"], None)
    assert command.caller(token).collections == frozenset(collections)
