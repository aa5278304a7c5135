from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.search.words
from gateway.backends.embedding import Word, Words
from gateway.backends.refusals import Refusal, Refused
from gateway.errors import WordsNotReady
from gateway.readiness import Need
from tests.unit.gateway.core import Core, until
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, color_vector

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
    assert core.index.indexes[NAME].items["green"].attributes == '{"rank":1,"taggable":true}'
    assert "taggable" in core.index.indexes[NAME].definition.indexed_attributes


async def test_words_are_searched_only_when_all_are_indexed(core: Core) -> None:
    with pytest.raises(WordsNotReady):
        await core.words.nearest(color_vector(COLORS["red"]), 3, MODEL.id, taggable=False)
    async with filling(core):
        await ready(core)
        nearest = await core.words.nearest(color_vector(COLORS["red"]), 2, MODEL.id, taggable=False)
    assert [each.id for each in nearest] == ["red", "crimson"]


async def test_a_failed_fill_closes_its_stream_of_words(core: Core) -> None:
    def refuse() -> None:
        raise Refused(Refusal("no room", 8, "STORAGE_FULL"))

    core.index.before_upsert = refuse
    with pytest.raises(Refused) as raised:
        await core.words.fill(MODEL)
    assert core.embedder.words_sent == 1, raised
    assert core.embedder.open_word_streams == 0


async def test_an_interrupted_fill_resumes_where_it_stopped(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.search.words, "_RETRY_SECONDS", 0.01)
    core.embedder.break_words_after = 4
    async with filling(core):
        await until(lambda: core.embedder.words_sent == 4)
        assert "words.0123456789ab" not in core.index.aliases, "the alias is the commit point"
        core.embedder.break_words_after = None
        await ready(core)
    assert core.embedder.words_sent == len(COLORS), "no word was sent twice"
    assert len(core.index.indexes[NAME].items) == len(COLORS) - 1


async def test_another_model_gets_its_own_words(core: Core) -> None:
    red = COLORS["red"]
    async with filling(core):
        await ready(core)
        core.embedder.model = OTHER_MODEL
        with pytest.raises(WordsNotReady):
            await core.words.nearest(core.embedder.vector(red, OTHER_MODEL.id), 1, OTHER_MODEL.id, taggable=False)
        await until(lambda: core.index.aliases["words"] == "words-ba9876543210")
        for model in (MODEL, OTHER_MODEL):
            [nearest] = await core.words.nearest(core.embedder.vector(red, model.id), 1, model.id, taggable=False)
            assert nearest.id == "red"


async def test_words_of_a_model_not_serving_are_filled_on_demand(core: Core) -> None:
    core.embedder.model = OTHER_MODEL
    vector = core.embedder.vector(COLORS["red"], MODEL.id)
    async with filling(core):
        await ready(core)
        with pytest.raises(WordsNotReady):
            await core.words.nearest(vector, 1, MODEL.id, taggable=False)
        await until(lambda: "words.0123456789ab" in core.index.aliases)
        [nearest] = await core.words.nearest(vector, 1, MODEL.id, taggable=False)
        assert nearest.id == "red"
        assert core.index.aliases["words"] == "words-ba9876543210"


async def test_words_of_an_unused_model_are_removed_for_good(core: Core) -> None:
    async with filling(core):
        await ready(core)
        core.embedder.model = OTHER_MODEL
        await core.collections.delete("gallery")  # the new one uses the active model
        await core.words.fill(OTHER_MODEL)
        await core.words.drop_all_but([OTHER_MODEL.id])
        with pytest.raises(WordsNotReady):
            await core.words.nearest(color_vector(COLORS["red"]), 1, MODEL.id, taggable=False)
        await until(lambda: not core.words._wanted)
        assert {name for name in core.index.indexes if name.startswith("words")} == {"words-ba9876543210"}
        assert set(core.index.aliases) == {"words", "words.ba9876543210", "images-gallery"}


async def test_only_words_for_visible_things_are_tags(core: Core) -> None:
    async with filling(core):
        await ready(core)
        gray = color_vector((128, 128, 128))
        every = await core.words.nearest(gray, 3, MODEL.id, taggable=False)
        tags = await core.words.nearest(gray, 3, MODEL.id, taggable=True)
    assert every[0].id == "the"
    assert "the" not in [each.id for each in tags]


@given(st.text(max_size=4) | st.sampled_from("/\\\x00\x1f\x20\x7f\x85\x9f\xa0\xad\u2028") | st.just("ü" * 257))
def test_words_that_are_invalid_ids_are_skipped(word: str) -> None:
    fits = 0 < len(word.encode()) <= 512 and not any(c in "/\\" or unicodedata.category(c) == "Cc" for c in word)
    batch = Words((Word(word, 7, True), Word("dog", 8, False)), np.eye(2, 3, dtype=np.float32))
    items = gateway.search.words._items(batch)
    assert [item.id for item in items] == [*([word] if fits else []), "dog"]
    assert items[-1].attributes == '{"rank":8,"taggable":false}'
    np.testing.assert_array_equal(items[-1].vector, [0, 1, 0])
