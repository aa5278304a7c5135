"""A switch that crashes at each of its calls, and the gateway that starts after it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import gateway.switching.model_switch
from gateway.collections.gallery import AttributesChange
from gateway.collections.orphans import ORPHAN_SECONDS
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import MODEL, ColorEmbedder, MemoryIndex, picture, sha256
from tests.unit.gateway.switching.faulty import Crash, CrashPoint
from tests.unit.gateway.switching.switches import (
    NAMES,
    activate,
    answers_rightly,
    images,
    is_switched,
    settled,
    switching,
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.switching.model_switch, "_RETRY_SECONDS", 0.01)


async def _filled(root: Path) -> tuple[ColorEmbedder, MemoryIndex, Core]:
    core = await open_core(root / "images")
    await core.words.fill(MODEL)
    await core.collections.create("other", "")
    await core.add(*(upload(n, picture(name), name, {"n": float(n)}) for n, name in enumerate(NAMES)))
    await core.add(upload(1, picture("red"), "red"), collection="other")
    return core.embedder, core.index, core


async def _switch_until(root: Path, embedder: ColorEmbedder, index: MemoryIndex, point: CrashPoint) -> bool:
    """Run a gateway with a switch; return whether it crashed."""
    crashing = await open_core(
        root / "images",
        embedder=point.wrap(embedder),
        index=point.wrap(index),
        records=point.wrap(index.records),
    )
    point.armed = True
    background = asyncio.create_task(crashing.switch.keep_switching())
    asking = asyncio.create_task(activate(crashing))
    await asyncio.wait({background, asking}, return_when=asyncio.FIRST_COMPLETED)
    crashed = background.done() or isinstance(asking.exception() if asking.done() else None, Crash)
    for task in (background, asking):
        task.cancel()
    await asyncio.gather(background, asking, return_exceptions=True)
    return crashed


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crashed_switch_is_right_and_ends_at_the_next_start(tmp_path: Path, after: bool) -> None:
    crashes = 0
    files = tmp_path / "files"
    files.mkdir()
    for number in range(10_000):
        root = tmp_path / str(number)
        root.mkdir()
        # One folder of files for all: rewriting them each time would be the slowest part.
        (root / "images").symlink_to(files)
        embedder, index, _ = await _filled(root)
        if not await _switch_until(root, embedder, index, CrashPoint(number, after=after)):
            break
        crashes += 1
        restarted = await open_core(root / "images", embedder=embedder, index=index)
        await answers_rightly(restarted)
        # Writes between a crash and the end of the switch: what was copied already is out of date.
        await restarted.gallery.delete("gallery", ["green"])
        await restarted.gallery.update("gallery", "blue", {"n": 9.0}, AttributesChange())
        await restarted.add(upload(1, picture("green"), "purple", {"n": 8.0}))
        expected = await images(restarted)
        async with switching(restarted):
            await settled(restarted)
            await activate(restarted)
        # The old index of a collection, where the crash came before it was removed.
        for now in (0.0, ORPHAN_SECONDS):
            await restarted.orphans.sweep(now)
        is_switched(restarted, "gallery", "other")
        assert await images(restarted) == expected
        assert (len(expected), expected["blue"][1], expected["purple"]) == (6, 9.0, (sha256(picture("green")), 8.0))
        await answers_rightly(restarted)
    assert crashes > 40
