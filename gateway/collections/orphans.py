"""Remove indexes of collections that no alias has named for a while.

A crash between two steps leaves such an index. But so does an alias that was lost, or moved to another index by hand;
that can be undone while the old index exists. So an index is removed only if
- this process found it without an alias in sweeps at least `ORPHAN_SECONDS` apart, and in each between them, and
- most of the collections' indexes have an alias: else it is likely that aliases are lost, and
- no switch to another model may be filling it (`SWITCH_LABEL`, see `collection_switch.py`).
The index service refuses to remove an index that has got an alias in the meantime.

The first sweep of a process removes nothing, and only the owner sweeps (see `gateway.lease`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from gateway.backends.refusals import Refused
from gateway.backends.vector_index import IndexInfo, VectorIndex
from gateway.collections.image_collections import SWITCH_LABEL
from gateway.collections.names import ALIAS_PREFIX

ORPHAN_SECONDS = 3_600.0

log = structlog.get_logger(__name__)


class Orphans:
    """Knows since when indexes have had no alias."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._since: dict[str, float] = {}
        self._switches = 0

    @contextmanager
    def switching(self) -> Iterator[None]:
        """Spare what a switch to another model may fill during the `with` block."""
        self._switches += 1
        try:
            yield
        finally:
            self._switches -= 1

    async def sweep(self, now: float) -> None:
        """Remove what has been without an alias for long enough; `now` is in seconds, of a monotonic clock."""
        ours = [info for info in await self._index.list_all() if self._counts(info)]
        names = [info.name for info in ours if not info.aliases]
        if 2 * len(names) > len(ours):
            self._since = {}
            log.warning(
                "most indexes of collections have no alias, so none is removed: set their aliases again (SetAlias), or "
                "delete what is not needed (DeleteIndex)",
                indexes=names,
            )
            return
        self._since = {name: self._since.get(name, now) for name in names}
        for name, since in list(self._since.items()):
            if now - since >= ORPHAN_SECONDS:
                await self._remove(name)

    def _counts(self, info: IndexInfo) -> bool:
        is_ours = info.name.startswith(ALIAS_PREFIX) and "collection" in info.labels
        may_be_filled = self._switches > 0 and SWITCH_LABEL in info.labels and not info.aliases
        return is_ours and not may_be_filled

    async def _remove(self, name: str) -> None:
        try:
            await self._index.delete(name)
        except Refused as error:  # it got an alias since, or is gone, or aliases are lost
            log.info("kept an index that no collection names", index=name, reason=str(error))
        else:
            log.info("removed an index that no collection names", index=name)
