"""The servers that a command calls.

An option or its variable names the server. Otherwise it is the suite that runs in the working folder, the port that a
service of this machine is set to, or the default, in this order. A command that calls another suite than the folder's
own says so.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from semsearch import suites
from semsearch.cli import encryption
from semsearch.cli.output import Output


def _gateway(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    return _chosen(ctx, param, value, suites.of_this_folder().gateway, "SEMSEARCH_GATEWAY_PORT")


def _index(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    return _chosen(ctx, param, value, suites.of_this_folder().index, "SEMSEARCH_INDEX_PORT")


def _chosen(ctx: typer.Context, param: typer.CallbackParam, value: str, own: str, port_variable: str) -> str:
    """Return an address; `value` is the given one or the default, `own` that of the folder's suite, or ""."""
    output = Output("--json" in sys.argv)
    chosen = _address(output, ctx, param, value, own, port_variable)
    if own and suites.same_address(chosen, own):
        encryption.use_suites_own(suites.of_this_folder())
    return chosen


def _address(
    output: Output, ctx: typer.Context, param: typer.CallbackParam, value: str, own: str, port_variable: str
) -> str:
    source = ctx.get_parameter_source(param.name or "")
    if source and source.name != "DEFAULT":
        if own and not suites.same_address(value, own):
            output.note(f"Using {value}; this folder's own suite is at {own}.")
        return value
    if own:
        return own
    if port := os.environ.get(port_variable):
        return f"127.0.0.1:{port}"
    if suites.of_this_folder().is_stopped:
        output.note(f"This folder's own suite is not running (`make run-all` starts it). Using {value}.")
    return value


_ORDER = (
    "Without it, the command uses this folder's running suite, then the port in {} on this machine, then the default."
)
Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="SEMSEARCH_CLIENT_SERVER",
        callback=_gateway,
        help=f"Address of the gateway. {_ORDER.format('SEMSEARCH_GATEWAY_PORT')}",
        metavar="HOST:PORT",
    ),
]
IndexAddress = Annotated[
    str,
    typer.Option(
        "--index-address",
        envvar="SEMSEARCH_CLIENT_INDEX_ADDRESS",
        callback=_index,
        help=f"Address of the index service. {_ORDER.format('SEMSEARCH_INDEX_PORT')}",
        metavar="HOST:PORT",
    ),
]
