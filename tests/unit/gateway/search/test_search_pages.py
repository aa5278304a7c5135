"""Pages of searches while images are added and deleted between them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semsearch.v1.query_pb2 import Filter

from gateway.backends.attributes import JsonValue, from_text, to_text
from gateway.backends.embedding import ImageEmbedding, ImageEmbeddings, ImageInput, Term, TextQuery
from gateway.backends.filters import is_true
from gateway.backends.vector_index import Engine, Item, NewIndex, Position
from gateway.errors import SearchOutOfDate
from gateway.search.cursors import Cursor
from gateway.search.query_vectors import ImageSource
from gateway.search.search import ImageMatches, Page, Scope
from tests.unit.gateway.core import Core, open_core, until, upload
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, ColorEmbedder, picture

# "crimson" and "red" of another seed are similar; the twins have exactly equal vectors.
IMAGES = {name: picture(name) for name in ("red", "green", "blue", "yellow", "purple", "orange", "crimson")}
IMAGES |= {f"twin-{n}": picture("orange", size=(64, 64)) + bytes([n]) for n in range(4)}
EVERYTHING = Scope("gallery", min_relevance=0.0)
SIZES = [1, 2, 3, 5, 10, 11, 12]

Turn = Callable[[Page], Awaitable[ImageMatches]]


@pytest.fixture
async def gallery(core: Core) -> Core:
    await fill(core)
    return core


async def fill(core: Core) -> None:
    results = await core.add(*(upload(n, IMAGES[name], name, {"n": float(n)}) for n, name in enumerate(IMAGES)))
    assert all(result.error is None for result in results)


def by_text(core: Core, scope: Scope = EVERYTHING) -> Turn:
    return lambda page: core.search.by_text(TextQuery("red"), scope, page)


def by_image(core: Core, source: ImageSource, *terms: Term) -> Turn:
    return lambda page: core.search.by_images([source], TextQuery(terms=terms), EVERYTHING, page)


async def walk(turn: Turn, size: int) -> list[str]:
    """Return the ids on all pages. Each page is full except the last, which is not empty if there are matches."""
    shown: list[str] = []
    page = Page(size)
    while True:
        found = await turn(page)
        ids = [match.image.id for match in found.matches]
        assert len(ids) == size if found.next else len(ids) <= size
        assert ids or not shown
        shown += ids
        if found.next is None:
            return shown
        page = Page(size, Cursor.from_text(found.next.to_text()))


@pytest.mark.parametrize("size", SIZES)
async def test_pages_cover_every_match_exactly_once_in_order(gallery: Core, size: int) -> None:
    whole = [match.image.id for match in (await by_text(gallery)(Page(100))).matches]
    assert set(whole) == set(IMAGES)
    assert await walk(by_text(gallery), size) == whole


@pytest.mark.parametrize("size", SIZES)
async def test_the_query_image_is_on_no_page(gallery: Core, size: int) -> None:
    for name in ("twin-1", "blue"):
        shown = await walk(by_image(gallery, ImageSource(image_id=name)), size)
        assert sorted(shown) == sorted(set(IMAGES) - {name})


@pytest.mark.parametrize("size", SIZES)
async def test_pages_end_at_the_minimum_relevance(gallery: Core, size: int) -> None:
    shown = await walk(by_text(gallery, Scope("gallery")), size)
    assert set(shown) == {"red", "crimson"}


@pytest.mark.parametrize("most", [2, 3, 7])
@pytest.mark.parametrize("scope", [EVERYTHING, Scope("gallery")])
async def test_pages_shortened_by_large_attributes_continue(gallery: Core, most: int, scope: Scope) -> None:
    whole = [match.image.id for match in (await by_text(gallery, scope)(Page(100))).matches]
    gallery.index.most_neighbors = most
    shown: list[str] = []
    page: Page | None = Page(5)
    while page:
        found = await by_text(gallery, scope)(page)
        assert len(found.matches) <= min(most, 5)
        shown += [match.image.id for match in found.matches]
        page = found.next and Page(5, found.next)
    assert shown == whole


async def test_the_query_image_is_on_no_shortened_page(gallery: Core) -> None:
    gallery.index.most_neighbors = 2
    shown: list[str] = []
    page: Page | None = Page(5)
    while page:
        found = await by_image(gallery, ImageSource(image_id="twin-1"))(page)
        shown += [match.image.id for match in found.matches]
        page = found.next and Page(5, found.next)
    assert sorted(shown) == sorted(set(IMAGES) - {"twin-1"})


@pytest.mark.parametrize("size", SIZES)
async def test_pages_of_similar_words_cover_each_word_once(gallery: Core, size: int) -> None:
    task = asyncio.create_task(gallery.words.keep_filled())
    await until(lambda: bool(gallery.index.optimized))
    task.cancel()
    words: list[str] = []
    page: Page | None = Page(size)
    while page:
        found = await gallery.search.similar_words(TextQuery("red -blue"), page)
        assert len(found.words) == size if found.next else 0 < len(found.words) <= size
        words += [word.word for word in found.words]
        page = found.next and Page(size, found.next)
    assert sorted(words) == sorted(word for word in COLORS if word not in {"red", "blue", "sky/blue"})


class UnsteadyEmbedder(ColorEmbedder):
    """Gives the same image vectors that differ in their last bits, as a model does in different batches."""

    async def embed_images(self, images: list[ImageInput], model_id: str = "") -> ImageEmbeddings:  # type: ignore[override]
        answer = await super().embed_images(images, model_id)
        noise = np.float32(1e-7) * (self.embedded_images % 5 - 2)
        results = (replace(each, vector=each.vector + noise) for each in answer.results)  # type: ignore[type-var, union-attr]
        return ImageEmbeddings(answer.model_id, tuple(each for each in results if isinstance(each, ImageEmbedding)))


@pytest.mark.parametrize("terms", [(), (Term("green", 0.1),)], ids=["image", "image and words"])
async def test_pages_of_an_image_search_tolerate_rounding(tmp_path: Path, terms: tuple[Term, ...]) -> None:
    core = await open_core(tmp_path / "images", embedder=UnsteadyEmbedder())
    await fill(core)
    for size in SIZES:
        shown = await walk(by_image(core, ImageSource(content=picture("red", seed=9)), *terms), size)
        assert sorted(shown) == sorted(IMAGES)


async def test_a_search_by_an_image_continues_after_it_is_deleted(gallery: Core) -> None:
    turn = by_image(gallery, ImageSource(image_id="red"), Term("yellow"))
    expected = await walk(turn, 3)
    first = await turn(Page(3))
    await gallery.gallery.delete("gallery", ["red"])
    second = await turn(Page(100, first.next))
    assert [match.image.id for match in (*first.matches, *second.matches)] == expected


async def test_a_filter_is_applied_again_to_each_page(gallery: Core) -> None:
    scope = replace(EVERYTHING, filter=Filter(must_not=is_true("hidden").must))
    whole = await walk(by_text(gallery, scope), 3)
    first = await by_text(gallery, scope)(Page(3))
    [item] = await gallery.index.get_items("images-gallery", [whole[3]])
    hidden = replace(item, attributes=to_text({**from_text(item.attributes), "user": {"hidden": True}}))
    await gallery.index.upsert("images-gallery", MODEL.id, [hidden])
    second = await by_text(gallery, scope)(Page(100, first.next))
    assert [match.image.id for match in second.matches] == whole[4:]


async def test_a_page_of_another_index_is_refused(gallery: Core) -> None:
    first = await by_text(gallery)(Page(3))
    assert first.next
    old = gallery.index.indexes[gallery.index.aliases["images-gallery"]].items.values()
    gallery.index.move(
        "images-gallery", NewIndex("images-gallery.other", MODEL.dimension, OTHER_MODEL.id, Engine.ANNOY)
    )
    items = [replace(each, vector=np.roll(each.vector, 1)) for each in old if each.vector is not None]
    await gallery.index.upsert("images-gallery", OTHER_MODEL.id, items)
    for turn in (by_text(gallery), by_image(gallery, ImageSource(image_id="red"))):
        with pytest.raises(SearchOutOfDate):
            await turn(Page(3, first.next))
    assert sorted(await walk(by_text(gallery), 3)) == sorted(IMAGES), "from the beginning it goes"


async def test_a_page_of_an_emptied_collection_is_refused(gallery: Core) -> None:
    first = await by_text(gallery)(Page(3))
    await gallery.collections.delete("gallery")
    await fill(gallery)
    with pytest.raises(SearchOutOfDate):
        await by_text(gallery)(Page(3, first.next))


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=300),
    st.floats(0, 2, width=32),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**31),
)
def test_a_cursor_is_restored_exactly(values: list[float], distance: float, row: int, rank: int) -> None:
    vector = np.array(values, dtype=np.float32)
    read = Cursor.from_text(Cursor(vector, Position("uid", distance, row, rank)).to_text())
    assert read.vector.tobytes() == vector.tobytes()
    assert read.place == Position("uid", distance, row, rank)


@pytest.mark.parametrize("text", ["", "20", "null", "{}", '["a", 1.0, 2, 3, "AA"]', '["a", 1.0, 2, 3, "A"]', '["a"]'])
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 — the message is the text
        Cursor.from_text(text)


CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "delete", "attributes"]), st.integers(0, 19), st.sampled_from(sorted(COLORS))),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 6),
    rounds=st.lists(CHANGES, min_size=20, max_size=20),
    source=st.sampled_from([None, "i-0", "i-7"]),
)
def test_unchanged_images_appear_once_while_others_change(
    size: int, rounds: list[list[tuple[str, int, str]]], source: str | None
) -> None:
    asyncio.run(_walk_while_images_come_and_go(size, rounds, source))


async def _walk_while_images_come_and_go(
    size: int, rounds: list[list[tuple[str, int, str]]], source: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        core = await open_core(Path(folder) / "images")
        colors = sorted(COLORS)
        await core.index.upsert("images-gallery", MODEL.id, [_item(core, n, colors[n % 6]) for n in range(10)])
        turn = by_image(core, ImageSource(image_id=source)) if source else by_text(core)
        steady = {f"i-{n}" for n in range(10)} - {source}
        touched: set[str] = set()
        shown: list[tuple[float, str]] = []
        page: Page | None = Page(size)
        for changes in rounds:
            if page is None:
                break
            gone = {f"i-{n}" for n in range(20)} - set(_items(core))
            found = await turn(page)
            shown += [(match.distance, match.image.id) for match in found.matches]
            assert not gone & {match.image.id for match in found.matches}, "what was deleted is not shown"
            page = found.next and Page(size, found.next)
            for kind, number, color in changes:
                image_id = f"i-{number}"
                if kind == "add":
                    await core.index.upsert("images-gallery", MODEL.id, [_item(core, number, color)])
                elif kind == "delete":
                    await core.index.delete_items("images-gallery", [image_id])
                elif image_id in _items(core):
                    changed = replace(_item(core, number, color), vector=None)
                    await core.index.upsert("images-gallery", MODEL.id, [changed])
                if kind != "attributes":
                    touched.add(image_id)
                    steady.discard(image_id)
        ids = [image_id for _, image_id in shown]
        assert [distance for distance, _ in shown] == sorted(distance for distance, _ in shown)
        assert source not in ids
        assert all(ids.count(each) <= 1 for each in set(ids) - touched)
        if page is None:
            assert all(ids.count(each) == 1 for each in steady)


def _items(core: Core) -> dict[str, Item]:
    return core.index.indexes[core.index.aliases["images-gallery"]].items


def _item(core: Core, number: int, color: str) -> Item:
    image: JsonValue = {
        "sha256": f"{number:064x}",
        "media_type": "image/png",
        "size_bytes": 1,
        "width": 1,
        "height": 1,
        "create_time": "2026-01-01T00:00:00Z",
    }
    attributes = to_text({"user": {"color": color}, "image": image})
    return Item(f"i-{number}", attributes, core.embedder.vector(COLORS[color], MODEL.id))
