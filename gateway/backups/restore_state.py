"""Which backup is being restored, in a record that all gateways share, so that the next owner may go on with it."""

from __future__ import annotations

from gateway.backends.coordination import Records

RECORD = "gateway.restore"


class RestoreState:
    """The record of a restore in progress."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def read(self) -> str:
        """Return the backup's id, or "" if none is being restored."""
        return (await self._records.read(RECORD)).decode()

    async def write(self, backup_id: str) -> None:
        """Record which backup is being restored, "" for none."""
        await self._records.write(RECORD, backup_id.encode())
