"""The lines with `semsearch` and `python -m trainer` in README and docs: their commands and options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semsearch.cli import app as semsearch
from typer.main import get_command

from trainer.cli import app as trainer

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "client" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = {"semsearch": get_command(semsearch), "python -m trainer": get_command(trainer)}
_PROGRAM = "|".join(PROGRAMS)
_LINE = re.compile(rf"(?:^\s*\$ |`)({_PROGRAM}) ([^`\n]*)", re.MULTILINE)
_BLOCK = re.compile(r"^ *```[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINE_OF_BLOCK = re.compile(rf"^ *({_PROGRAM}) ([^\n]*)", re.MULTILINE)
_REST = re.compile(r"\s(?:#|\||;|&&|→).*")
_PLACEHOLDER = re.compile(r"[A-Z][A-Z. ]*|…|-.*|")


def lines() -> Iterator[tuple[Path, str, str]]:
    """Yields pages, programs, and the words after the program."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        blocks = _BLOCK.findall(text)
        for program, line in [
            *_LINE.findall(text),
            *(each for block in blocks for each in _LINE_OF_BLOCK.findall(block)),
        ]:
            yield page, program, _REST.sub("", line)


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
    checked = 0
    for page, program, line in lines():
        words = shlex.split(line)
        command = command_of(words, PROGRAMS[program])
        known = {name for each in command.params for name in [*each.opts, *each.secondary_opts]}
        asked = [word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?|-[a-zA-Z]", word)]
        assert {*asked} <= known | {"--help", "-h"}, f"{page.name}: {program} {line}"
        checked += bool(asked)
    assert checked > 50
