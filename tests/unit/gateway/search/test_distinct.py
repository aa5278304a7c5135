"""Searches that show each picture once, page by page, against an oracle."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backends.embedding import TextQuery
from gateway.backends.vector_index import Item
from gateway.collections.images import StoredImage
from gateway.collections.same_picture import hashes_of, same_as
from gateway.search import distinct
from gateway.search.cursors import Cursor
from gateway.search.query_vectors import ImageSource
from gateway.search.search import ImageMatches, Page, Scope
from tests.unit.gateway.core import Core, open_core
from tests.unit.gateway.doubles import MODEL, color_vector

LOOKS = [0x5A3C96F00F69C3A5 << 170, 0x123456789ABCDEF << 60, 0]
EVERYTHING = Scope("gallery", min_relevance=0.0, distinct=True)

# A picture, bits by which a copy's hash differs, and the red of its colour.
COPIES = st.lists(
    st.tuples(st.integers(0, 2), st.sets(st.integers(0, 255), max_size=20), st.integers(0, 255)), max_size=30
)


def item(number: int, picture: int, bits: set[int] | frozenset[int], red: int, edge: int = 1) -> Item:
    looks = LOOKS[picture]
    for bit in bits if looks else ():
        looks ^= 1 << bit
    time = datetime(2026, 1, 1, tzinfo=UTC)
    image = StoredImage(
        f"i-{number}",
        "gallery",
        {},
        f"{number:064x}",
        "image/png",
        1,
        edge,
        edge,
        time,
        perceptual_hash=f"{looks:064x}",
    )
    return Item(image.id, image.item_attributes(), color_vector((red, 60, 60)))


async def search(core: Core, scope: Scope, page: Page, source: str | None) -> ImageMatches:
    if source:
        return await core.search.by_images([ImageSource(image_id=source)], TextQuery(), scope, page)
    return await core.search.by_text(TextQuery("red"), scope, page)


async def shown_once(core: Core, look_back: int, source: str | None) -> list[str]:
    """Return what a search should show: the matches that none of the `look_back` before them repeats."""
    found = await search(core, replace(EVERYTHING, distinct=False), Page(1_000), source)
    stored = core.index.indexes[core.index.aliases["images-gallery"]].items
    vectors = [stored[each.image.id].vector for each in found.matches]
    hashes = hashes_of([each.image.perceptual_hash for each in found.matches])
    shown = []
    for number, match in enumerate(found.matches):
        before = slice(max(0, number - look_back), number)
        vector = vectors[number]
        assert vector is not None
        if not same_as(
            hashes[number], vector, hashes[before], [each for each in vectors[before] if each is not None]
        ).any():
            shown.append(match.image.id)
    return shown


async def walk(core: Core, scope: Scope, size: int, source: str | None) -> list[str]:
    """Return the ids on all pages, which are full except for the last."""
    shown: list[str] = []
    page: Page | None = Page(size)
    while page:
        found = await search(core, scope, page, source)
        assert len(found.matches) == size if found.next else len(found.matches) <= size
        shown += [match.image.id for match in found.matches]
        page = found.next and Page(size, Cursor.from_text(found.next.to_text()))
    return shown


@settings(max_examples=60, deadline=None)
@given(
    copies=COPIES,
    size=st.integers(1, 7),
    look_back=st.sampled_from([1, 3, 2_000]),
    most=st.sampled_from([2, 5, 10_000]),
    source=st.sampled_from([None, "i-0"]),
)
def test_pages_show_each_picture_once_wherever_they_begin(
    copies: list[tuple[int, set[int], int]], size: int, look_back: int, most: int, source: str | None
) -> None:
    asyncio.run(_compare_with_oracle(copies, size, look_back, most, source if copies else None))


async def _compare_with_oracle(
    copies: list[tuple[int, set[int], int]], size: int, look_back: int, most: int, source: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "LOOK_BACK", look_back)
        core = await open_core(Path(folder) / "images")
        if copies:
            items = [item(number, *copy) for number, copy in enumerate(copies)]
            await core.index.upsert("images-gallery", MODEL.id, items)
        expected = await shown_once(core, look_back, source)
        core.index.most_neighbors = most
        assert await walk(core, EVERYTHING, size, source) == expected


async def test_a_page_that_thousands_of_copies_would_leave_empty_goes_on(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct, "MOST_READ", 4)
    await core.index.upsert("images-gallery", MODEL.id, [item(n, 0, frozenset(), 255 - n) for n in range(20)])
    await core.index.upsert("images-gallery", MODEL.id, [item(20, 1, frozenset(), 10)])
    shown: list[str] = []
    page: Page | None = Page(3)
    while page:
        found = await search(core, EVERYTHING, page, None)
        shown += [match.image.id for match in found.matches]
        page = found.next and Page(3, found.next)
    assert shown == ["i-0", "i-20"]


async def test_a_copy_appears_when_the_nearer_one_is_gone(core: Core) -> None:
    items = [item(n, picture, frozenset(), 255 - n) for n, picture in enumerate([0, 1, 0])]
    await core.index.upsert("images-gallery", MODEL.id, items)
    first = await search(core, EVERYTHING, Page(1), None)
    assert [match.image.id for match in first.matches] == ["i-0"]
    await core.index.delete_items("images-gallery", ["i-0"])
    second = await search(core, EVERYTHING, Page(5, first.next), None)
    assert [match.image.id for match in second.matches] == ["i-1", "i-2"]
