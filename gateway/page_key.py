"""The key that signs page tokens: the same for all gateways of an index, so that each continues the others' pages."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from gateway.backends.coordination import Records
from gateway.errors import DependencyUnavailable, GatewayError
from gateway.readiness import Need, Readiness
from serving.background import WorkHealth
from serving.page_tokens import KEY_BYTES

RECORD = "gateway.page-token-key"
_RETRY_SECONDS = 0.5


class PageKey:
    """The shared key, once it is known.

    The first gateway makes it. `former` is the file that held it in versions without records: tokens from before stay
    valid.
    """

    def __init__(self, records: Records, former: Path) -> None:
        self._records = records
        self._former = former
        self._key = b""
        self.health = WorkHealth("page-key")

    def get(self) -> bytes:
        """Return the key.

        Raises:
            DependencyUnavailable: the index, which keeps it, has not answered yet.
        """
        if not self._key:
            raise DependencyUnavailable("index")
        return self._key

    async def load(self, readiness: Readiness) -> None:
        """Get the key, as soon as the index answers."""
        while not self._key:
            try:
                self._key = await self._records.write_first(RECORD, self._own())
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)
        await readiness.set(Need.PAGE_KEY, True)

    def _own(self) -> bytes:
        """Return the key of an earlier version, or a new one. A truncated one would be easier to guess."""
        try:
            former = self._former.read_bytes()
        except OSError:
            former = b""
        return former if len(former) == KEY_BYTES else secrets.token_bytes(KEY_BYTES)
