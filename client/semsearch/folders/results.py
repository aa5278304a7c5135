"""The results of keeping files in step."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """The outcome for a file."""

    ADDED = "added"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"  # the path was added to an image that has other paths
    MOVED = "moved"  # the path was added to an image that lost another
    REPLACED = "replaced"  # the path had other bytes before
    REMOVED = "removed"  # the file is gone, and its path was removed; the image too if that was the last one
    GONE = "gone"  # the file is gone; its image stays, since its removal was not allowed
    FAILED = "failed"
    PASSED_OVER = "passed_over"


class Reason(enum.Enum):
    """Why a file or folder was passed over, or why it failed before it was sent."""

    OTHER_SUFFIX = "not an image"
    VIDEO = "video"
    HIDDEN = "hidden"
    EXCLUDED = "excluded"
    LINK = "link to a folder"
    EMPTY = "empty file"
    IMAGE_TOO_LARGE = "too large"
    UNREADABLE = "unreadable"
    CHANGING = "changing"
    NOT_MOUNTED = "not mounted"


# These are deliberate, so nothing is wrong.
CHOSEN = frozenset({Reason.OTHER_SUFFIX, Reason.VIDEO, Reason.HIDDEN, Reason.EXCLUDED, Reason.LINK, Reason.EMPTY})


@dataclass(frozen=True)
class FileResult:
    """The result for a file: `id` is its image's; `reason` and `problem` explain why it failed or was passed over.

    `reason` is the name of a `Reason`, or one of the server's. `path` is relative to the root.
    """

    path: str
    outcome: Outcome
    id: str = ""
    reason: str = ""
    problem: str = ""


def passed_over(path: str, reason: Reason, problem: str = "") -> FileResult:
    """Return the result for a file or folder that is not read."""
    outcome = Outcome.PASSED_OVER if reason in CHOSEN else Outcome.FAILED
    return FileResult(path, outcome, reason=reason.name, problem=problem or reason.value)
