"""The findings of an examination."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """The state of a part; only a problem needs action."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """A finding about one part of the suite; `advice` says what to do, "" if nothing."""

    part: str
    state: State
    text: str
    advice: str = ""


def ok(part: str, text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(part, State.OK, text)


def note(part: str, text: str, advice: str = "") -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(part, State.NOTE, text, advice)


def problem(part: str, text: str, advice: str) -> Finding:
    """Return a finding that needs action."""
    return Finding(part, State.PROBLEM, text, advice)
