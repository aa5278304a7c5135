"""A sweeper that is not the owner's any more removes nothing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.collections.blobs import Rendition
from gateway.errors import OwnerChanged
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import picture, sha256

RED = picture("red")
LONG_AGO = 1_000_000.0


@dataclass
class Lost:
    """A lease that is lost at some moment."""

    is_held: bool = True

    def change(self) -> Any:
        raise NotImplementedError


async def released(root: Path, lease: Lost) -> Core:
    """Return a core with an image whose only item was deleted."""
    core = await open_core(root / "images", lease=lease)
    await core.add(upload(1, RED, "red"))
    await core.gallery.delete("gallery", ["red"])
    return core


def _age(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (LONG_AGO, LONG_AGO))


async def test_nothing_is_removed_after_the_lease_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lost()
    core = await released(tmp_path, lease)
    list_items = core.index.list_items

    async def lose(*arguments: Any, **options: Any) -> Any:
        found = await list_items(*arguments, **options)
        lease.is_held = False
        return found

    monkeypatch.setattr(core.index, "list_items", lose)
    with pytest.raises(OwnerChanged):
        await core.sweeper.sweep(time.time() + 1)
    assert await core.blobs.read(sha256(RED), Rendition.ORIGINAL) == RED
    lease.is_held = True
    monkeypatch.undo()
    assert await core.sweeper.sweep(time.time() + 1) == 1


async def test_a_suspended_sweeper_spares_what_the_next_owner_has_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is suspended between its check of the lease and the removal, the worst moment."""
    former = await released(tmp_path, Lost())
    next_one = await open_core(tmp_path / "images", embedder=former.embedder, index=former.index)
    _age(tmp_path)
    remove = former.blobs.remove

    async def late(name: str, cutoff: float) -> None:
        await next_one.add(upload(1, RED, "red"))
        await remove(name, cutoff)

    monkeypatch.setattr(former.blobs, "remove", late)
    assert await former.sweeper.sweep(LONG_AGO + 1) == 1
    image = await next_one.gallery.get("gallery", "red")
    assert await next_one.blobs.read(image.sha256, Rendition.ORIGINAL) == RED
