"""Admit changes under the lease that a call names in its metadata (see coordination_service.proto).

A call may make several changes: each message of a stream is one. A change ends when its work ends, not when its caller
leaves, because a thread cannot be interrupted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc.aio

from index_service.coordination.leases import Leases
from index_service.definition import NAME_PATTERN
from serving.errors import InvalidField

METADATA_KEY = "semsearch-lease"

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]

_VALUE = re.compile(rf"(?P<name>{NAME_PATTERN.pattern}):(?P<number>[0-9]{{1,18}})")


class Changes:
    """Admits the changes of one call."""

    def __init__(self, leases: Leases, context: Context) -> None:
        """Read the call's metadata; raises `InvalidField`."""
        self._leases = leases
        self._lease = _lease_of(context)

    def submit(self, start: Callable[[], Future[T]]) -> Future[T]:
        """Start the work of a change and return it; raises `LeaseLost`."""
        if self._lease is None:
            return start()
        name, number = self._lease
        self._leases.begin_change(name, number)
        try:
            work = start()
        except BaseException:
            self._leases.end_change(name)
            raise
        work.add_done_callback(lambda _: self._leases.end_change(name))
        return work

    @contextmanager
    def change(self) -> Iterator[None]:
        """Enclose a change, which has ended at the end of the `with` block; raises `LeaseLost`."""
        if self._lease is None:
            yield
            return
        name, number = self._lease
        self._leases.begin_change(name, number)
        try:
            yield
        finally:
            self._leases.end_change(name)


def _lease_of(context: Context) -> tuple[str, int] | None:
    for key, value in context.invocation_metadata() or ():
        if key == METADATA_KEY:
            match = _VALUE.fullmatch(str(value))
            if match is None:
                raise InvalidField(METADATA_KEY, "must be a lease's name, a colon and its number.")
            return match["name"], int(match["number"])
    return None
