"""Failed background work is retried, and its health reports the failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from serving.background import WorkHealth, keep_running

DEADLINE = 5.0


def work_that_fails(*errors: Exception | None) -> Callable[[], asyncio.Future[None]]:
    """Return work whose attempts raise these errors in turn; None succeeds."""
    attempts = iter(errors)

    async def work() -> None:
        if error := next(attempts):
            raise error

    return work  # type: ignore[return-value]


async def test_failing_work_is_retried_until_it_succeeds() -> None:
    health = WorkHealth("sweeping")
    await keep_running(health, work_that_fails(OSError("no such file"), ZeroDivisionError(), None), retry_seconds=0)
    assert health.is_well


async def test_a_streak_of_failures_is_logged_once_with_its_traceback() -> None:
    with capture_logs() as logged:
        await keep_running(
            WorkHealth("sweeping"), work_that_fails(*[OSError("no such file")] * 5, None), retry_seconds=0
        )
    assert [(each["work"], each["log_level"], type(each.get("exc_info"))) for each in logged] == [
        ("sweeping", "error", OSError),
        ("sweeping", "info", type(None)),
    ]


async def test_another_kind_of_failure_and_the_next_streak_are_logged() -> None:
    health = WorkHealth("sweeping")
    with capture_logs() as logged:
        for error in (OSError(), OSError(), ValueError(), None, OSError()):
            health.succeeded() if error is None else health.failed(error)
    assert [each["log_level"] for each in logged] == ["error", "error", "info", "error"]


async def test_an_expected_error_is_logged_in_a_sentence() -> None:
    with capture_logs() as logged:
        WorkHealth("sweeping").failed(OSError("The disk is full."), expected=True)
    assert [(each["log_level"], each["error"]) for each in logged] == [("warning", "The disk is full.")]


async def test_work_without_failures_is_healthy() -> None:
    health = WorkHealth("merging")
    health.failed(OSError(), "one")
    health.failed(OSError(), "other")
    health.succeeded("one")
    assert not health.is_well
    health.succeeded("other")
    assert health.is_well


async def test_watchers_see_changes_from_any_thread() -> None:
    health = WorkHealth("merging")
    watch = health.watch()
    async with asyncio.timeout(DEADLINE):
        assert await anext(watch)
        threading.Thread(target=health.failed, args=(OSError(),)).start()
        assert not await anext(watch)
        threading.Thread(target=health.succeeded).start()
        assert await anext(watch)


async def test_work_ends_when_it_is_cancelled() -> None:
    waiting: Callable[[], asyncio.Future[None]] = asyncio.Event().wait  # type: ignore[assignment]
    running = asyncio.create_task(keep_running(WorkHealth("waiting"), waiting, retry_seconds=0))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
