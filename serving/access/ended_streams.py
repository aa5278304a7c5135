"""End the streams of a token that was revoked or changed, or has expired.

A token is looked at again only when what it was compared with has changed, or when its time is over; a message costs
nothing. Streams that a service of the suite passes on are not watched: they end with the caller's own stream, and the
identity with which they began expires long before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.access.errors import AccessRefused, TokenChanged
from serving.access.identity import Identity
from serving.running import Running, running

if TYPE_CHECKING:
    from serving.access.authentication import Authentication, Sources

POLL_SECONDS = 1.0


@dataclass(eq=False)
class _Stream:
    work: Running
    metadata: Mapping[str, str]
    identity: Identity
    sources: Sources

    def is_in_doubt(self, sources: Sources, now: float) -> bool:
        expires = self.identity.expires
        return self.sources != sources or (expires is not None and now >= expires)


class EndedStreams:
    """The streams in progress of a process."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication
        self._streams: set[_Stream] = set()

    @contextmanager
    def watched(self, metadata: Mapping[str, str], identity: Identity, sources: Sources) -> Iterator[None]:
        """Return a context around a stream; raises `AccessRefused` once its token is refused.

        Args:
            metadata: The stream's metadata, with its token.
            identity: Whose the token was found to be.
            sources: What the token was compared with.
        """
        with running() as work:
            stream = _Stream(work, metadata, identity, sources)
            self._streams.add(stream)
            try:
                yield
            finally:
                self._streams.discard(stream)

    async def keep_current(self) -> None:
        """End streams whose tokens are refused by now; run until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            sources, now = self._authentication.sources(), time.time()
            for stream in [each for each in self._streams if each.is_in_doubt(sources, now)]:
                await self._look(stream, sources)

    async def _look(self, stream: _Stream, sources: Sources) -> None:
        try:
            identity = await self._authentication.identify(stream.metadata)
        except AccessRefused as refused:
            stream.work.end(refused)
            return
        if identity.caller != stream.identity.caller:
            stream.work.end(TokenChanged(stream.identity.caller.name))
        stream.identity, stream.sources = identity, sources
