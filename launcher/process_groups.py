"""Ends process groups: SIGTERM, then SIGKILL for what is left after the grace period."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection

# A stop takes at most 5 s in all. Calls in flight have 3 s by default; closing files took less than 0.3 s.
GRACE_SECONDS = 4.2
_POLL_SECONDS = 0.02


def end_groups(leaders: Collection[int], grace_seconds: float = GRACE_SECONDS) -> None:
    """Ends the groups of these leaders' ids and returns when none is left, or after SIGKILL was sent."""
    deadline = time.monotonic() + grace_seconds
    left = [leader for leader in leaders if _signal(leader, signal.SIGTERM)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [leader for leader in left if _signal(leader, 0)]
    for leader in left:
        _signal(leader, signal.SIGKILL)


def _signal(leader: int, number: int) -> bool:
    """Sends a signal to a group; False where there is none any more (macOS says EPERM of one that is being reaped)."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
