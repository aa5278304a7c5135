"""The lines with `semsearch` in README and docs: their commands and options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semsearch.cli import app
from typer.main import get_command

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "client" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINE = re.compile(r"(?:^\s*\$ |`)semsearch ([^`\n]*)", re.MULTILINE)
_REST = re.compile(r"\s(?:#|\||;|&&|→).*")
_PLACEHOLDER = re.compile(r"[A-Z][A-Z. ]*|…|-.*|")


def lines() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for found in _LINE.finditer(page.read_text(encoding="utf-8")):
            yield page, _REST.sub("", found[1])


def command_of(words: list[str], command: Any) -> Any:
    """Return the command that a line calls; `index DIR` and `backup PLACE` are hidden defaults of their groups."""
    for word in words:
        if not hasattr(command, "commands"):
            break
        if word in command.commands:
            command = command.commands[word]
        elif hasattr(command, "default"):
            return command.commands[command.default]
        elif _PLACEHOLDER.fullmatch(word):
            break
        else:
            raise AssertionError(f"no command {word}")
    if hasattr(command, "default") and not command.no_args_is_help:
        return command.commands[command.default]
    return command


def test_every_line_in_the_docs_calls_a_command_with_options_that_exist() -> None:
    checked, every = 0, get_command(app)
    for page, line in lines():
        words = shlex.split(line)
        command = command_of(words, every)
        known = {name for each in command.params for name in [*each.opts, *each.secondary_opts]}
        asked = [word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?|-[a-zA-Z]", word)]
        assert {*asked} <= known | {"--help", "-h"}, f"{page.name}: semsearch {line}"
        checked += bool(asked)
    assert checked > 25
