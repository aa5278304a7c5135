"""What an examination finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """How a part is: only a problem needs something done."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found about a part, and what to do about it; `advice` is "" if there is nothing to do."""

    part: str
    state: State
    text: str
    advice: str = ""


def ok(part: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(part, State.OK, text)


def note(part: str, text: str, advice: str = "") -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(part, State.NOTE, text, advice)


def problem(part: str, text: str, advice: str) -> Finding:
    """Return a finding that needs something done."""
    return Finding(part, State.PROBLEM, text, advice)
