"""The gateway's core with a few images and the words of its model."""

from __future__ import annotations

from pathlib import Path

from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import MODEL, picture


async def filled_core(folder: Path) -> Core:
    """Return a core whose collection has the images id-0, id-1 and id-2, and whose words can be searched."""
    core = await open_core(folder / "images")
    await core.words.fill(MODEL)
    await core.add(*(upload(n, picture("red", seed=n), f"id-{n}") for n in range(3)))
    return core
