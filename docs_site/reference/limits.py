"""The page of limits, from the lists that the services enforce and report."""

from __future__ import annotations

from collections.abc import Iterator

from docs_site.markdown import code, prose, table
from docs_site.reference.settings import SERVICES
from embedder_service.limits import limits as of_embedder
from embedder_service.settings import EmbedderSettings
from gateway.api.limits import limits as of_gateway
from gateway.settings import GatewaySettings
from index_service.api.limits import limits as of_index
from index_service.settings import IndexSettings
from serving.limits import Limit

_INTRODUCTION = """# Limits

What the services accept at most, as they enforce it. A running suite reports the same, with the values that its
operator chose, and what a caller may do and has done today: `GetLimits` of
[LimitsService](rpcs/v1-limits-service.md), or `semsearch limits`. A limit with a variable can be set; the others cannot
be changed.

A request beyond a limit is refused with INVALID_ARGUMENT and the field, and what is only too much at the moment with
RESOURCE_EXHAUSTED and the time after which to try again. Rates and daily quotas of callers are in
[their guide](../guides/limit-callers.md).
"""
_LIVE = """## Settings that can change while a service runs

The file of `SEMSEARCH_LIVE_SETTINGS` may set these; it is read again when it changes
([how](../guides/limit-callers.md#change-settings-without-a-restart)). All other settings need a restart.
"""


def page() -> str:
    """Return the page."""
    lists = {
        "Gateway": of_gateway(GatewaySettings.model_construct()),
        "Embedder": of_embedder(EmbedderSettings.model_construct()),
        "Index": of_index(IndexSettings.model_construct()),
    }
    parts = [_INTRODUCTION]
    for service, limits in lists.items():
        parts += [f"## {service}\n", table(["of", "at most", "what", "variable"], map(_row, _sorted(limits))), ""]
    return "\n".join([*parts, _LIVE, table(["variable", "meaning"], _live_settings())])


def _sorted(limits: tuple[Limit, ...]) -> list[Limit]:
    """Return the limits, fields after the rest."""
    return sorted(limits, key=lambda limit: (limit.name.startswith("semsearch."), limit.name, limit.unit))


def _row(limit: Limit) -> list[str]:
    name = code(limit.name) if limit.name.startswith("semsearch.") else prose(limit.name)
    return [name, _amount(limit), prose(limit.unit), code(limit.setting)]


def _amount(limit: Limit) -> str:
    if limit.unit.startswith("bytes") and limit.most >= 2**10 and limit.most % 2**10 == 0:
        unit, name = (2**20, "MiB") if limit.most % 2**20 == 0 else (2**10, "KiB")
        return f"{limit.most:,.0f} ({limit.most / unit:,.0f} {name})"
    return f"{limit.most:,g}" if limit.most != int(limit.most) else f"{limit.most:,.0f}"


def _live_settings() -> Iterator[list[str]]:
    seen = set()
    for settings in SERVICES:
        for name, field in settings.model_fields.items():
            if name in settings.live and (variable := settings.variable(name)) not in seen:
                seen.add(variable)
                yield [code(variable), prose(field.description or "")]
