"""Structured logs: one line per event on stderr, for people or as JSON."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

if TYPE_CHECKING:
    from structlog.typing import EventDict

    from serving.settings import ServiceSettings


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_level = _LEVELS["info"]

# The prefix of a service's last sentence if it cannot start or continue.
ERROR_PREFIX = "error: "


def configure(settings: ServiceSettings) -> None:
    """Set up structlog for the process; called once, before anything is logged."""
    set_level(settings.log_level)
    for_people = settings.log_format == "console"
    structlog.configure(
        processors=[
            _drop_below_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # By default, both kinds of tracebacks print local variables, and so the data of callers.
            *([] if for_people else [ExceptionRenderer(ExceptionDictTransformer(show_locals=False))]),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
            if for_people
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def set_level(level: str) -> None:
    """Log nothing less severe than a level from now on."""
    global _level
    _level = _LEVELS[level]


def _drop_below_level(_: object, method: str, event: EventDict) -> EventDict:
    if _LEVELS[method] < _level:
        raise structlog.DropEvent
    return event
