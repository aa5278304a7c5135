"""A switch whose record is slow to be written is done once, and whoever asked for it hears of its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.errors import SwitchUnderWay
from gateway.switching.switch_run import SwitchProgress
from tests.unit.gateway.core import Core, open_core, until, upload
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, picture
from tests.unit.gateway.switching.switches import NAMES, activate, is_switched, settled, switching, target

THIRD_MODEL = replace(MODEL, id="another@sha256:cccccccccccc")


@dataclass
class SlowRecord:
    """Holds up each write of a target: before the record has it, or before the writer hears so."""

    core: Core
    is_late: bool
    held: list[asyncio.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._write = self.core.index.records.write
        self.core.index.records.write = self.write  # type: ignore[method-assign]

    async def write(self, name: str, value: bytes) -> None:
        if not value or self.is_late:
            await self._write(name, value)
        if value:
            self.held.append(asyncio.Event())
            await self.held[-1].wait()
        if value and not self.is_late:
            await self._write(name, value)

    async def release(self) -> None:
        """Let the first write end, and the others once its switch is under way."""
        self.held[0].set()
        await until(lambda: self.core.switch._run is not None)
        for each in self.held:
            each.set()


@pytest.fixture
async def gallery(tmp_path: Path) -> Core:
    core = await open_core(tmp_path / "images")
    await core.words.fill(MODEL)
    await core.add(*(upload(n, picture(name), name) for n, name in enumerate(NAMES)))
    return core


def switched(progress: list[SwitchProgress]) -> bool:
    return progress[-1].model is not None and progress[-1].model.id == OTHER_MODEL.id


async def caller_that_has_left(core: Core, record: SlowRecord) -> None:
    """Begin a switch, and leave while its record is written."""
    caller = asyncio.create_task(activate(core))
    await until(lambda: bool(record.held))
    caller.cancel()
    await asyncio.wait({caller})


async def follower(core: Core, name: str) -> asyncio.Task[list[SwitchProgress]]:
    """Ask for a switch, and go as far as that comes by itself."""
    caller = asyncio.create_task(activate(core, name))
    for _ in range(10):
        await asyncio.sleep(0)
    return caller


async def test_a_caller_that_leaves_while_the_record_is_written_holds_no_other_up(gallery: Core) -> None:
    record = SlowRecord(gallery, is_late=False)
    async with switching(gallery):
        await caller_that_has_left(gallery, record)
        caller = await follower(gallery, OTHER_MODEL.id)
        await record.release()
        assert switched(await caller)
    is_switched(gallery, "gallery")


async def test_a_switch_whose_caller_left_while_its_record_is_written_refuses_another_model(gallery: Core) -> None:
    gallery.embedder.models[THIRD_MODEL.id] = THIRD_MODEL
    record = SlowRecord(gallery, is_late=False)
    async with switching(gallery):
        await caller_that_has_left(gallery, record)
        caller = await follower(gallery, THIRD_MODEL.id)
        await record.release()
        with pytest.raises(SwitchUnderWay):
            await caller
        await settled(gallery)
    is_switched(gallery, "gallery")


async def test_a_switch_that_was_found_in_its_record_before_it_began_is_followed(gallery: Core) -> None:
    record = SlowRecord(gallery, is_late=True)
    caller = asyncio.create_task(activate(gallery))
    await until(lambda: bool(target(gallery)) and bool(record.held))
    async with switching(gallery):
        await until(lambda: gallery.switch._run is not None)
        await record.release()
        assert switched(await caller)
    is_switched(gallery, "gallery")
