"""The collections whose maps are to be computed, kept in a record that all gateways share, as JSON.

So the next owner computes what the last one had not finished.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gateway.backends.coordination import Records
from gateway.errors import MapNotStored, Refused

RECORD = "gateway.maps"
_FORMER_FILES = "*.wanted"


class MapRequests:
    """The record; requests that versions without records kept as files in `former` are taken over."""

    def __init__(self, records: Records, former: Path) -> None:
        self._records = records
        self._former = former

    async def read(self) -> list[str]:
        """Return the collections, in the order of the requests."""
        value = await self._records.read(RECORD)
        found = list(json.loads(value)) if value else []
        if files := sorted(self._former.glob(_FORMER_FILES)):
            found = list(dict.fromkeys([*found, *(path.stem for path in files)]))
            await self.write(found)
            for path in files:
                path.unlink()
        return found

    async def write(self, collections: Sequence[str]) -> None:
        """Replace the collections; raises `MapNotStored`."""
        value = json.dumps(collections, separators=(",", ":")).encode() if collections else b""
        try:
            await self._records.write(RECORD, value)
        except Refused as error:
            raise MapNotStored(str(error)) from error
