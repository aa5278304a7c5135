"""The pages of commands, from the command-line applications themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from semsearch.cli import app as semsearch
from typer.main import get_command

from docs_site.markdown import code, first_sentence, heading, one_line, prose, table
from trainer.cli import app as trainer

_KINDS = {str: "TEXT", int: "INTEGER", float: "FLOAT", Path: "PATH"}
_HELP = {"--help", "-h", "--install-completion", "--show-completion"}


def pages() -> dict[str, str]:
    """Return the pages of `semsearch` and of `python -m trainer` by name."""
    return {
        "semsearch.md": "\n".join(_page(semsearch, "semsearch")),
        "trainer.md": "\n".join(_page(trainer, "python -m trainer")),
    }


def _page(app: typer.Typer, name: str) -> Iterator[str]:
    command: Any = get_command(app)
    yield f"# {name}\n"
    yield prose(command.help or "") + "\n"
    found = list(_commands(command, name))
    overview = [[f"[{path}](#{_anchor(path)})", prose(first_sentence(each.help or ""))] for path, each in found]
    yield table(["command", "what it does"], overview)
    for path, each in found:
        yield heading(2, path, _anchor(path))
        yield prose(each.help or "") + "\n"
        yield f"```\n{path} {' '.join(_usage(each))}\n```\n"
        rows = list(_parameters(each))
        if rows:
            yield table(["argument or option", "meaning", "default", "variable"], rows)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands below one by the words that call them."""
    for name, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from _commands(each, f"{path} {name}")
        elif name == getattr(command, "default", ""):  # see semsearch.cli.default_command
            yield path, each
        elif not each.hidden:
            yield f"{path} {name}", each


def _usage(command: Any) -> Iterator[str]:
    if any(each.param_type_name == "option" for each in command.params):
        yield "[OPTIONS]"
    for each in command.params:
        if each.param_type_name == "argument":
            name = each.metavar or each.name.upper()
            several = "..." if each.nargs == -1 else ""
            yield f"{name}{several}" if each.required else f"[{name}]{several}"


def _parameters(command: Any) -> Iterator[list[str]]:
    for each in command.params:
        if each.hidden or _HELP & set(each.opts):
            continue
        yield [_name(each), prose(one_line(each.help or "")), _default(each), code(_variable(each))]


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return code(parameter.metavar or parameter.name.upper())
    names = ", ".join(code(name) for name in [*parameter.opts, *parameter.secondary_opts])
    if parameter.is_flag:
        return names
    return f"{names} {code(parameter.metavar or _KINDS.get(parameter.type_descriptor.annotation, 'VALUE'))}"


def _default(parameter: Any) -> str:
    value = parameter.default
    return "" if value is None or callable(value) or value in (False, "", ()) else code(str(value))


def _variable(parameter: Any) -> str:
    return parameter.envvar if isinstance(parameter.envvar, str) else ""


def _anchor(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path)
