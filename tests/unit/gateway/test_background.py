"""Background work begins again when it fails, and says so."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.background import keep_running


async def test_work_that_fails_begins_again_and_is_logged() -> None:
    attempts = iter([OSError("no such file"), ZeroDivisionError(), None])

    async def work() -> None:
        if error := next(attempts):
            raise error

    with capture_logs() as logged:
        await keep_running("sweeping", work, retry_seconds=0)
    assert [(each["work"], each["log_level"], each["exc_info"]) for each in logged] == [("sweeping", "error", True)] * 2


async def test_work_ends_when_it_is_cancelled() -> None:
    running = asyncio.create_task(keep_running("waiting", asyncio.Event().wait, retry_seconds=0))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
