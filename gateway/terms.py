"""Build the core anew for each term (see `gateway.lease`), and serve with the present one.

At the end of a term the state of its core is not taken over: locks, holds, uploads and switches in progress, what is
known of collections. Reads in progress finish on the core they began with; changes have been given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor

from gateway.collections.gallery import Gallery
from gateway.lease import OwnerLease, Term
from serving.background import WorkHealth, keep_running

Work = Callable[[], Coroutine[None, None, None]]


@dataclass(frozen=True)
class Serving:
    """What serves during a term: servicers and a gallery on top of one core, and its background work."""

    term: Term
    gallery: Gallery
    servicers: Mapping[ServiceDescriptor, object]
    background: Sequence[tuple[WorkHealth, Work]]


class Terms:
    """What serves now."""

    def __init__(self, lease: OwnerLease, build: Callable[[Term], Serving]) -> None:
        self._lease = lease
        self._build = build
        self.serving = build(lease.term)

    async def keep_serving(self) -> None:
        """Run the background work of each term, and change to the next; run until cancelled."""
        while True:
            term = self.serving.term
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(keep_running(health, work)) for health, work in self.serving.background]
                following = await self._lease.next_term(term)
                for task in tasks:
                    task.cancel()
            self.serving = self._build(following)
