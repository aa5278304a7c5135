"""Whose a token is."""

from __future__ import annotations

from dataclasses import dataclass

from serving.callers import Caller


@dataclass(frozen=True)
class Identity:
    """Whose a token is.

    Attributes:
        caller: Whose it is.
        expires: When it is no longer accepted, in seconds since 1970; None if it does not expire.
        from_suite: Whether a service of the suite calls on the caller's behalf.
    """

    caller: Caller
    expires: float | None = None
    from_suite: bool = False
