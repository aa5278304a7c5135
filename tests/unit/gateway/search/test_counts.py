"""Counts of matches, and matches newest first, compared with what a search finds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st
from semsearch.v1.query_pb2 import Condition, Filter

from gateway.backends.embedding import Logistic, Term, TextQuery
from gateway.backends.vector_index import similarity_at
from gateway.collections.images import Order
from gateway.errors import ImageNotFound, SearchOutOfDate
from gateway.search.counts import CUTS, MatchCounts
from gateway.search.cursors import TimeCursor
from gateway.search.cuts import farthest
from gateway.search.query_vectors import ImageSource
from gateway.search.search import ImageMatches, Page, Scope
from tests.unit.gateway.core import Core, until, upload
from tests.unit.gateway.doubles import COLORS, MODEL, photo

EVERYTHING = Scope("gallery", min_relevance=0.0)
EVEN = Filter(must=[Condition(field="even", equals=Value(bool_value=True))])

Search = Callable[[Scope, Page], Awaitable[ImageMatches]]
Count = Callable[[Scope], Awaitable[MatchCounts]]


@given(
    slope=st.floats(0.5, 60),
    offset=st.floats(-30, 30),
    relevance=st.sampled_from(CUTS) | st.floats(0, 1, width=32),
)
def test_a_cut_divides_the_distances_exactly_where_relevance_does(
    slope: float, offset: float, relevance: float
) -> None:
    curve = Logistic(slope, offset)
    cut = farthest(curve, relevance)
    if cut is None:
        assert curve.relevance(1.0) < relevance
        return
    assert float(np.float32(cut)) == cut
    assert curve.relevance(similarity_at(cut)) >= relevance
    if cut < 2:
        beyond = float(np.nextafter(np.float32(cut), np.float32(2)))
        assert curve.relevance(similarity_at(beyond)) < relevance


@pytest.fixture
async def gallery(core: Core) -> Core:
    """A collection of reds that go over into green; every third photo has no time, and some have the same."""
    uploads = []
    for number in range(40):
        taken = "" if number % 3 == 0 else f"2024:06:{1 + number * 7 % 20:02} 12:00:00"
        content = photo((255 - 6 * number, 6 * number, 0), taken, number)
        uploads.append(upload(number, content, f"{number:02}", {"even": number % 2 == 0}))
    assert all(result.error is None for result in await core.add(*uploads))
    return core


def searches(core: Core) -> list[tuple[Search, Count]]:
    query = TextQuery("red -green")
    images = [ImageSource(image_id="10"), ImageSource(image_id="20", weight=0.5)]
    words = TextQuery(terms=(Term("red", 0.5),))
    return [
        (
            lambda scope, page: core.search.by_text(query, scope, page),
            lambda scope: core.counting.by_text(query, scope),
        ),
        (
            lambda scope, page: core.search.by_images(images, words, scope, page),
            lambda scope: core.counting.by_images(images, words, scope),
        ),
    ]


async def found(search: Search, scope: Scope) -> set[str]:
    return {match.image.id for match in (await search(scope, Page(1_000))).matches}


@pytest.mark.parametrize("filter_", [None, EVEN], ids=["all", "filtered"])
async def test_the_counts_are_those_of_the_search_at_every_cut(gallery: Core, filter_: Filter | None) -> None:
    for search, count in searches(gallery):
        scope = Scope("gallery", filter_)
        counts = await count(scope)
        assert counts.matches == len(await found(search, scope))
        for cut, at_cut in zip(CUTS, counts.at_cuts, strict=True):
            assert at_cut == len(await found(search, replace(scope, min_relevance=cut))), cut


async def test_the_cut_is_the_callers_or_the_models(gallery: Core) -> None:
    (_, by_text), (_, by_images) = searches(gallery)
    assert (await by_text(Scope("gallery"))).min_relevance == MODEL.calibration.default_min_relevance
    assert (await by_images(Scope("gallery"))).min_relevance == 0
    assert (await by_text(Scope("gallery", min_relevance=0.25))).min_relevance == 0.25


async def walk(search: Search, scope: Scope, size: int) -> list[str]:
    shown: list[str] = []
    page = Page(size)
    while True:
        answer = await search(scope, page)
        shown += [match.image.id for match in answer.matches]
        if answer.next is None:
            return shown
        page = Page(size, TimeCursor.from_text(answer.next.to_text()))


@pytest.mark.parametrize("filter_", [None, EVEN], ids=["all", "filtered"])
async def test_all_matches_above_the_cut_are_shown_once_newest_first(gallery: Core, filter_: Filter | None) -> None:
    for search, _ in searches(gallery):
        for cut in (0.0, 0.5, 0.9, 1.0):
            scope = Scope("gallery", filter_, cut, order=Order.NEWEST_FIRST)
            shown = await walk(search, scope, 7)
            assert sorted(shown) == sorted(await found(search, replace(scope, order=Order.OF_METHOD)))
            assert shown == (await walk(search, scope, 1_000))
            images = [await gallery.gallery.get("gallery", each) for each in shown]
            places = [(image.photo.taken_time, int(image.id)) for image in images]
            assert places == sorted(places, reverse=True)


async def test_the_figures_of_a_match_do_not_depend_on_the_order(gallery: Core) -> None:
    (search, _), _ = searches(gallery)
    nearest = {each.image.id: each for each in (await search(EVERYTHING, Page(100))).matches}
    newest = (await search(replace(EVERYTHING, order=Order.NEWEST_FIRST), Page(100))).matches
    assert {each.image.id: each for each in newest} == nearest


async def test_a_later_page_needs_neither_the_image_nor_the_same_bits_of_its_vector(gallery: Core) -> None:
    scope = replace(EVERYTHING, order=Order.NEWEST_FIRST)
    first = await gallery.search.by_images([ImageSource(image_id="10")], TextQuery(), scope, Page(10))
    assert isinstance(first.next, TimeCursor)
    await gallery.gallery.delete("gallery", ["10"])
    later = await gallery.search.by_images([ImageSource(image_id="10")], TextQuery(), scope, Page(100, first.next))
    assert len(later.matches) + len(first.matches) == 39


async def test_a_search_that_began_in_a_replaced_index_is_refused(gallery: Core) -> None:
    scope = replace(EVERYTHING, order=Order.NEWEST_FIRST)
    first = await gallery.search.by_text(TextQuery("red"), scope, Page(10))
    await gallery.collections.delete("gallery")
    await gallery.add(upload(0, photo(COLORS["red"], "", 0), "red"))
    with pytest.raises(SearchOutOfDate):
        await gallery.search.by_text(TextQuery("red"), scope, Page(10, first.next))


async def test_a_collection_is_listed_newest_first_and_counted(gallery: Core) -> None:
    shown: list[str] = []
    token = ""
    while token or not shown:
        images, token = await gallery.gallery.list_page("gallery", 7, token, EVEN, Order.NEWEST_FIRST)
        shown += [image.id for image in images]
    (search, _), _ = searches(gallery)
    assert shown == await walk(search, Scope("gallery", EVEN, 0.0, order=Order.NEWEST_FIRST), 1_000)
    assert await gallery.gallery.count("gallery", EVEN) == 20
    assert await gallery.gallery.count("gallery", None) == 40


async def test_tags_of_several_images_name_what_they_have_in_common(core: Core) -> None:
    task = asyncio.create_task(core.words.keep_filled())
    await until(lambda: bool(core.index.optimized))
    purple = [(255, 0, 0), (1, 0, 255)]  # red and blue
    await core.add(*(upload(n, photo(color, "", n), f"{n}") for n, color in enumerate(purple)))
    tags = await core.tagging.tag(("0", "1"), "gallery", 1, 0.0)
    chosen = await core.tagging.choose(("0", "1"), "gallery", ["green", "purple"], 2, 0.0)
    task.cancel()
    assert [tag.word for tag in tags.tags] == ["purple"]
    assert [tag.word for tag in chosen.tags] == ["purple", "green"]
    with pytest.raises(ImageNotFound):
        await core.tagging.tag(("0", "nobody"), "gallery", 1, 0.0)
