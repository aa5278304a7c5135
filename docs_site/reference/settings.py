"""The page of settings and ports, from the fields of the services' settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo

from docs_site.markdown import code, prose, table
from embedder_service.settings import EmbedderSettings
from gateway.settings import GatewaySettings
from index_service.settings import IndexSettings
from serving.settings import ServiceSettings

SERVICES: tuple[type[ServiceSettings], ...] = (GatewaySettings, EmbedderSettings, IndexSettings)
_PORT = "port"
_INTRODUCTION = """# Settings and ports

Every setting is a variable of the environment and a flag: flags override variables, and these override the defaults. A
service checks its settings once, at the start; an unknown or wrong one stops it with a sentence that names it. `python
-m gateway.settings` prints what the gateway would start with; `embedder_service.settings` and `index_service.settings`
do the same for the others.

`make run-all` passes variables on, and tells the gateway where the other services listen, so a port is set in one
place.

## Ports
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION, _ports(), "\n## All services\n", _fields(GatewaySettings, sorted(ServiceSettings.shared))]
    for each in SERVICES:
        own = [name for name in each.model_fields if name not in each.shared]
        parts += [f"\n## {each.service.capitalize()}\n", _fields(each, own)]
    return "\n".join(parts)


def _ports() -> str:
    rows = [
        [each.service, name.replace("_", " "), str(field.default), code(each.variable(name))]
        for each in SERVICES
        for name, field in each.model_fields.items()
        if name == _PORT or name.endswith(f"_{_PORT}")
    ]
    return table(["service", "port", "default", "variable"], rows)


def _fields(settings: type[ServiceSettings], names: Sequence[str]) -> str:
    rows = [
        [
            code(settings.variable(name)),
            code(f"--{name.replace('_', '-')}"),
            code(_amount(settings.model_fields[name].default)),
            ", ".join(_bounds(settings.model_fields[name])),
            prose(settings.model_fields[name].description or ""),
        ]
        for name in names
    ]
    return table(["variable", "flag", "default", "values", "meaning"], rows)


def _bounds(field: FieldInfo) -> Iterator[str]:
    """Yield what a value may be."""
    if choices := get_args(field.annotation):
        yield ", ".join(code(str(each)) for each in choices if each is not type(None))
    for bound in field.metadata:
        match bound:
            case Ge(least):
                yield f"≥ {_amount(least)}"
            case Gt(least):
                yield f"> {_amount(least)}"
            case Le(most):
                yield f"≤ {_amount(most)}"
            case Lt(most):
                yield f"< {_amount(most)}"
            case MinLen():
                yield "not empty"


def _amount(value: Any) -> str:
    """Return a value as text; whole mebibytes as such."""
    if isinstance(value, int) and value >= 2**20 and value % 2**20 == 0:
        return f"{value} ({value // 2**20} MiB)"
    return "" if value is None else str(value)
