from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

import gateway.words
from gateway.errors import WordsNotReady
from gateway.readiness import Need
from tests.unit.gateway.core import Core, until
from tests.unit.gateway.doubles import COLORS, MODEL, color_vector

NAME = "words-0123456789ab"


@asynccontextmanager
async def filling(core: Core) -> AsyncIterator[None]:
    task = asyncio.create_task(core.words.keep_filled())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ready(core: Core) -> None:
    async with asyncio.timeout(5):
        async for there in core.readiness.watch(Need.WORDS):
            if there:
                return


async def test_the_vocabulary_is_filled_once(core: Core) -> None:
    async with filling(core):
        await ready(core)
    sent = core.embedder.words_sent
    async with filling(core):
        await ready(core)
    assert core.embedder.words_sent == sent == len(COLORS)
    assert core.index.aliases["words"] == NAME
    assert core.index.optimized == [NAME]
    assert set(core.index.indexes[NAME].items) == {word for word in COLORS if "/" not in word}
    assert core.index.indexes[NAME].items["green"].attributes == {"rank": 1.0, "taggable": True}
    assert "taggable" in core.index.indexes[NAME].definition.indexed_attributes


async def test_words_are_not_searched_before_all_are_there(core: Core) -> None:
    with pytest.raises(WordsNotReady):
        await core.words.nearest(color_vector(COLORS["red"]), 3, MODEL.id, taggable=False)
    async with filling(core):
        await ready(core)
        nearest = await core.words.nearest(color_vector(COLORS["red"]), 2, MODEL.id, taggable=False)
    assert [each.id for each in nearest] == ["red", "crimson"]


async def test_a_fill_that_broke_off_goes_on_where_it_was(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.words, "_RETRY_SECONDS", 0.01)
    core.embedder.break_words_after = 4
    async with filling(core):
        await until(lambda: core.embedder.words_sent == 4)
        assert "words" not in core.index.aliases, "the alias is the commit point"
        core.embedder.break_words_after = None
        await ready(core)
    assert core.embedder.words_sent == len(COLORS), "no word was sent twice"
    assert len(core.index.indexes[NAME].items) == len(COLORS) - 1


async def test_another_model_gets_its_own_words_and_the_old_ones_go(core: Core) -> None:
    async with filling(core):
        await ready(core)
        core.embedder.model = replace(MODEL, id="toy@sha256:cdef00000000")
        with pytest.raises(WordsNotReady):
            await core.words.nearest(color_vector(COLORS["red"]), 1, "toy@sha256:cdef00000000", taggable=False)
        await until(lambda: NAME not in core.index.indexes)
        [nearest] = await core.words.nearest(color_vector(COLORS["red"]), 1, "toy@sha256:cdef00000000", taggable=False)
    assert nearest.id == "red"
    assert core.index.aliases["words"] == "words-cdef00000000"


async def test_only_words_that_can_be_seen_are_tags(core: Core) -> None:
    async with filling(core):
        await ready(core)
        gray = color_vector((128, 128, 128))
        every = await core.words.nearest(gray, 3, MODEL.id, taggable=False)
        tags = await core.words.nearest(gray, 3, MODEL.id, taggable=True)
    assert every[0].id == "the"
    assert "the" not in [each.id for each in tags]
