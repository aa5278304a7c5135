"""Whether the current call repeats an earlier one, so that retries of several hops add up and do not multiply.

Whoever repeats a call says so in its metadata. A service makes the calls on behalf of a repeated call once: the caller
repeats already, and four attempts here for each of five there would be twenty.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

# The number of earlier attempts, as the suite's client and gRPC's own retries send it.
HEADER = "semsearch-previous-attempts"
_HEADERS = (HEADER, "grpc-previous-rpc-attempts")

_is_repeated: ContextVar[bool] = ContextVar("is repeated", default=False)


def begin(metadata: Mapping[str, str]) -> None:
    """Learn from a call's metadata whether it is repeated."""
    _is_repeated.set(any(metadata.get(name, "0") != "0" for name in _HEADERS))


def is_repeated() -> bool:
    """Return whether the current call is repeated."""
    return _is_repeated.get()


def metadata() -> tuple[tuple[str, str], ...]:
    """Return the metadata of calls on behalf of the current call."""
    return ((HEADER, "1"),) if _is_repeated.get() else ()
