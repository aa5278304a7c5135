"""Which maps are to be computed and which were, kept in a record that all gateways share, as JSON.

So the next owner computes what the last one had not finished, and knows which maps it lacks because only the last one
has their files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from gateway.backends.coordination import Records
from gateway.backends.refusals import Refused
from gateway.errors import MapNotStored

RECORD = "gateway.maps"
_FORMER_FILES = "*.wanted"
# So that the record stays below 64 KiB; of more maps the next owner does not know that they were computed.
MOST_COMPUTED = 300


@dataclass
class KnownMaps:
    """Collections whose maps are wanted, first requested first; indexes whose maps were computed, newest last."""

    wanted: list[str] = field(default_factory=list)
    computed: list[str] = field(default_factory=list)


class MapRequests:
    """The record; requests that versions without records kept as files in `former` are taken over."""

    def __init__(self, records: Records, former: Path) -> None:
        self._records = records
        self._former = former

    async def read(self) -> KnownMaps:
        """Return what is known of maps."""
        value = await self._records.read(RECORD)
        known = KnownMaps(**json.loads(value)) if value else KnownMaps()
        if files := sorted(self._former.glob(_FORMER_FILES)):
            known.wanted = list(dict.fromkeys([*known.wanted, *(path.stem for path in files)]))
            await self.write(known)
            for path in files:
                path.unlink()
        return known

    async def write(self, known: KnownMaps) -> None:
        """Replace what is known; raises `MapNotStored`."""
        content = {"wanted": known.wanted, "computed": known.computed[-MOST_COMPUTED:]}
        try:
            await self._records.write(RECORD, json.dumps(content, separators=(",", ":")).encode())
        except Refused as error:
            raise MapNotStored(str(error)) from error
