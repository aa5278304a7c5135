"""Settings that may change while a service runs, from a file that is read again when it changes.

The file is TOML. At the top are settings of all services by their names, and in a table for each service those of that
service. Tables of roles and of callers have their quotas:

    log_level = "info"

    [gateway]
    read_quota = "50/s, burst 200, 100000/day"

    [gateway.roles.admin]
    read_quota = "unlimited"

    [gateway.callers.importer]
    embed_quota = "20/s"

What the file sets comes before flags and variables; what it sets no longer goes back to them. A file that is wrong
stops the start. Later, it changes nothing: the settings stay as they are, the log says what is wrong, and
`semsearch_live_settings_refused` is 1.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
from prometheus_client import Gauge
from pydantic import TypeAdapter, ValidationError
from rapidfuzz import process

from serving.callers import Role
from serving.quotas.allowances import Allowance, Allowances, OwnAllowance
from serving.quotas.quota import Quota
from serving.settings import SERVICES, ServiceSettings
from serving.watched_file import Watched, problem_of, read_file

REFUSED = Gauge(
    "semsearch_live_settings_refused", "1 while the file of SEMSEARCH_LIVE_SETTINGS is wrong and has no effect."
)
log = structlog.get_logger(__name__)

S = TypeVar("S", bound=ServiceSettings)


class LiveSettingsRefused(Exception):
    """The file cannot be read, or something in it is wrong."""


@dataclass(frozen=True)
class Live(Generic[S]):
    """The settings as they are now, and what callers are allowed."""

    settings: S
    allowances: Allowances


_OWN_ALLOWANCES = TypeAdapter(dict[str, OwnAllowance])


class LiveSettings(Generic[S]):
    """The settings of a service as they are `now`."""

    def __init__(self, settings: S) -> None:
        """Read the file, if the settings name one.

        Raises:
            LiveSettingsRefused: The file is missing or wrong.
        """
        self._started_with = settings
        self._file: Watched[bytes, Live[S]] | None = None
        self._listeners: list[Callable[[Live[S]], None]] = []
        self.now: Live[S] = _parsed(b"", settings)
        if settings.live_settings:
            file = Path(settings.live_settings)
            parse, event = partial(_parsed, settings=settings), "the live settings are wrong and have no effect"
            self._file = Watched(file, partial(_content, file), parse, LiveSettingsRefused, event=event)
            self.now = self._file.content

    def listen(self, listener: Callable[[Live[S]], None]) -> None:
        """Call `listener` now and after each change."""
        self._listeners.append(listener)
        listener(self.now)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Notice each change of the file within a second, as long as the context lasts."""
        if self._file is None:
            yield
            return
        task = asyncio.create_task(self._file.keep_current(partial(self._looked, self._file)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    def _looked(self, file: Watched[bytes, Live[S]], is_new: bool) -> None:
        REFUSED.set(bool(file.problem))
        if is_new and file.content != self.now:
            self.now = file.content
            log.info("live settings changed", **_differences(self._started_with, self.now.settings))
            for listener in self._listeners:
                listener(self.now)


def _content(file: Path) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        problem = problem_of(error)
        raise LiveSettingsRefused(f"The file of live settings, {file}, cannot be read: {problem}.") from error


def _parsed(content: bytes, settings: S) -> Live[S]:
    """Return the state that a file describes.

    Raises:
        LiveSettingsRefused: Something in it is wrong; the message names it.
    """
    try:
        tables = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LiveSettingsRefused(f"The live settings are not TOML: {error}.") from error
    own = tables.pop(settings.service, {})
    for service in SERVICES:
        tables.pop(service, None)
    if not isinstance(own, dict):
        raise LiveSettingsRefused(f'The live setting "{settings.service}" must be a table.')
    roles = _own_allowances(own.pop("roles", {}), f"{settings.service}.roles.")
    callers = _own_allowances(own.pop("callers", {}), f"{settings.service}.callers.")
    if unknown := roles.keys() - {role.name.lower() for role in Role}:
        raise LiveSettingsRefused(f'The live settings name a role "{min(unknown)}"; there are read, write and admin.')
    _check_names(tables, type(settings).live & type(settings).shared)
    _check_names(own, type(settings).live)
    changed = _changed(settings, {**tables, **own})
    everyone = Allowance(
        Quota.parse(changed.read_quota),
        Quota.parse(changed.write_quota),
        Quota.parse(changed.embed_quota),
        changed.max_calls_per_caller,
    )
    return Live(changed, Allowances(everyone, {Role[name.upper()]: own for name, own in roles.items()}, callers))


def _check_names(table: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in table:
        if name not in known:
            near = process.extractOne(name, known, score_cutoff=70)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise LiveSettingsRefused(
                f'"{name}" is no setting that can change here while the service runs.{hint} It can have: '
                f"{', '.join(sorted(known))}."
            )


def _own_allowances(table: Any, where: str) -> dict[str, OwnAllowance]:
    try:
        return _OWN_ALLOWANCES.validate_python(table)
    except ValidationError as error:
        raise _refused(error, where) from error


def _changed(settings: S, values: Mapping[str, Any]) -> S:
    if not values:
        return settings
    try:
        return type(settings)(**{**settings.model_dump(), **values})
    except ValidationError as error:
        raise _refused(error, "") from error


def _refused(error: ValidationError, where: str) -> LiveSettingsRefused:
    problem = error.errors()[0]
    name = where + ".".join(str(part) for part in problem["loc"])
    return LiveSettingsRefused(f"The live setting {name} is wrong: {problem['msg']}; it was {problem['input']!r}.")


def _differences(before: ServiceSettings, now: ServiceSettings) -> dict[str, Any]:
    old, new = before.for_log(), now.for_log()
    return {name: value for name, value in new.items() if old[name] != value}
