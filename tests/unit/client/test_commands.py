"""The whole command: messages and hints name existing commands, and shells complete them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import semsearch
import typer
from semsearch.cli import app
from semsearch.cli.output import _COMMANDS
from semsearch.index.v1 import index_service_pb2
from semsearch.v1 import backup_service_pb2, gallery_service_pb2, model_service_pb2, search_service_pb2

_NAMED = re.compile(r"(?:`|: )semsearch (?P<name>[a-z]+)(?: (?P<inner>[a-z]+))?")


def commands() -> dict[str, set[str]]:
    """The commands, and those within each."""
    group = typer.main.get_command(app)
    return {name: set(getattr(command, "commands", {})) for name, command in group.commands.items()}  # type: ignore[attr-defined]


def texts() -> Iterator[tuple[Path, str]]:
    """The strings in the client's code."""
    for file in Path(semsearch.__file__).parent.rglob("*.py"):
        if "_pb2" not in file.name:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield file, node.value


def test_every_command_that_a_message_names_exists() -> None:
    known = commands()
    named = [(file, found) for file, text in texts() for found in _NAMED.finditer(text)]
    assert len(named) > 10
    for file, found in named:
        name, inner = found["name"], found["inner"]
        assert name in known, f"{file.name}: {found[0]}"
        assert not inner or not known[name] or inner in known[name], f"{file.name}: {found[0]}"


def test_every_call_that_a_servers_error_names_becomes_a_command() -> None:
    """Errors of the services name calls; each must be known to the command that prints them."""
    calls = {
        method.name
        for file in (backup_service_pb2, gallery_service_pb2, index_service_pb2, model_service_pb2, search_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    for service in ("gateway", "embedder_service", "index_service", "serving", "model"):
        text = (Path(__file__).parents[3] / service / "errors.py").read_text(encoding="utf-8")
        assert calls & set(re.findall(r"[A-Z][a-z]+[A-Z]\w+", text)) <= set(_COMMANDS), service


@pytest.mark.parametrize(
    ("typed", "completed"), [("coll", "collections"), ("collections re", "rename"), ("se", "search")]
)
def test_a_shell_completes_commands(typed: str, completed: str) -> None:
    words = f"semsearch {typed}"
    asked = {"_SEMSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [Path(sys.executable).parent / "semsearch"],
        env={**os.environ, **asked},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert completed in done.stdout.split()
