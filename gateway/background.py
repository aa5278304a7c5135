"""Work that runs beside the calls, as long as the gateway does: no failure of it may end the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

__all__ = ["keep_running"]

_RETRY_SECONDS = 5.0

log = structlog.get_logger(__name__)


async def keep_running(name: str, work: Callable[[], Awaitable[None]], retry_seconds: float = _RETRY_SECONDS) -> None:
    """Do some work to its end, from the beginning again whenever it fails; each failure is logged with its traceback.

    Args:
        name: What the work is called in the log.
        work: Starts it. What it handles itself does not come here.
        retry_seconds: How long to wait before it begins again.
    """
    while True:
        try:
            return await work()
        except Exception:
            log.exception("background work broke off, it begins again in a moment", work=name)
        await asyncio.sleep(retry_seconds)
