"""Which model is being switched to, in a record that all gateways share, so that the next owner resumes the switch.

The record holds the model's id, or nothing.
"""

from __future__ import annotations

from pathlib import Path

from gateway.backends.coordination import Records
from gateway.backends.refusals import Refused
from gateway.errors import SwitchNotStored

RECORD = "gateway.model-switch"


class SwitchState:
    """The record of the target of a switch.

    `former` is the file that held it in versions without records; it is taken over once.
    """

    def __init__(self, records: Records, former: Path | None = None) -> None:
        self._records = records
        self._former = former

    async def read(self) -> str:
        """Return the model's id, or "" where none is being switched to."""
        target = (await self._records.read(RECORD)).decode()
        if self._former is not None and self._former.exists():
            if not target:
                target = self._former.read_text(encoding="utf-8").strip()
                await self.write(target)
            self._former.unlink()
        return target

    async def write(self, model_id: str) -> None:
        """Record which model is being switched to; raises `SwitchNotStored`."""
        try:
            await self._records.write(RECORD, model_id.encode())
        except Refused as error:
            raise SwitchNotStored(str(error)) from error

    async def clear(self) -> None:
        """Record that no switch is under way; raises `SwitchNotStored`."""
        await self.write("")
