"""`semsearch limits`."""

from __future__ import annotations

from typing import Annotated

import typer

from semsearch.cli import options
from semsearch.cli.output import Output
from semsearch.client import DEFAULT_SERVER, Client
from semsearch.values import CallerQuota


def limits(
    show_all: Annotated[bool, typer.Option("--all", help="Show the limits of fields too.")] = False,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Show what you may do, what you have used today, and what the server accepts."""
    output = Output(as_json)
    with Client(server) as client:
        found = client.get_limits()
    if as_json:
        output.document(found)
        return
    output.say(f"{found.caller} may have {found.max_calls or 'any number of'} calls in progress.")
    output.table(
        ["kind", "on average", "at once ", "in a day ", "used today "],
        [
            [quota.kind, _rate(quota), _number(quota.burst), _number(quota.per_day), _used(quota)]
            for quota in found.quotas
        ],
    )
    output.table(
        ["limit", "at most ", "of what", "service"],
        [
            [limit.name, f"{limit.most:,.15g} ", limit.unit, limit.service]
            for limit in found.limits
            if show_all or not limit.name.startswith("semsearch.")
        ],
    )


def _rate(quota: CallerQuota) -> str:
    if not quota.per_second:
        return "any"
    return f"{quota.per_second:.3g} a second" if quota.per_second >= 1 else f"{quota.per_second * 60:.3g} a minute"


def _number(number: int) -> str:
    return f"{number:,} " if number else "any "


def _used(quota: CallerQuota) -> str:
    return f"{quota.used_today:,} " if quota.per_day else ""
