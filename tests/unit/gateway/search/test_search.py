from __future__ import annotations

import asyncio
import io
import math
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from semsearch.v1.query_pb2 import Condition, Filter

from gateway.backends.embedding import Crop, Logistic, Term, TextQuery
from gateway.backends.refusals import InvalidCrop, Part, Refused, UnknownWords
from gateway.backends.vector_index import Engine, NewIndex
from gateway.errors import CancelledTerms, CollectionNotFound, WordsNotReady
from gateway.search.query_vectors import ImageSource
from gateway.search.search import ImageMatches, Page, Scope
from tests.unit.gateway.core import Core, until, upload
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, picture

NAMES = ["red", "green", "blue", "yellow", "purple", "orange"]
EVERYTHING = Scope("gallery", min_relevance=0.0)
FIRST = Page(20)


@pytest.fixture
async def gallery(core: Core) -> Core:
    await core.add(*(upload(n, picture(name), name, {"n": float(n)}) for n, name in enumerate(NAMES)))
    return core


@pytest.fixture
async def tagging(gallery: Core) -> AsyncIterator[Core]:
    task = asyncio.create_task(gallery.words.keep_filled())
    await until(lambda: bool(gallery.index.optimized))
    yield gallery
    task.cancel()


def ids(found: ImageMatches) -> list[str]:
    return [match.image.id for match in found.matches]


async def test_the_nearest_image_comes_first_and_its_figures_agree(gallery: Core) -> None:
    found = await gallery.search.by_text(TextQuery("red"), EVERYTHING, FIRST)
    assert ids(found)[0] == "red"
    assert len(ids(found)) == len(NAMES)
    for match in found.matches:
        assert match.similarity == pytest.approx(1 - match.distance**2 / 2)
        assert match.relevance == pytest.approx(1 / (1 + math.exp(-(20 * match.similarity - 18))))
    distances = [match.distance for match in found.matches]
    assert distances == sorted(distances)


async def test_by_default_only_relevant_images_are_found(gallery: Core) -> None:
    found = await gallery.search.by_text(TextQuery("red"), Scope("gallery"), FIRST)
    assert ids(found) == ["red"]
    nothing = await gallery.search.by_text(TextQuery("the"), Scope("gallery", min_relevance=0.999), FIRST)
    assert nothing.matches == ()
    assert nothing.next is None


async def test_a_filter_tests_the_callers_attributes(gallery: Core) -> None:
    scope = replace(EVERYTHING, filter=Filter(must=[Condition(field="n", equals=Value(number_value=2))]))
    assert ids(await gallery.search.by_text(TextQuery("red"), scope, FIRST)) == ["blue"]


async def test_a_query_of_unknown_words_is_refused_naming_them(gallery: Core) -> None:
    found = await gallery.search.by_text(TextQuery("red qwertz"), EVERYTHING, FIRST)
    assert [each.word for each in found.unknown_words] == ["qwertz"]
    with pytest.raises(UnknownWords) as caught:
        await gallery.search.by_text(TextQuery("qwertz"), EVERYTHING, FIRST)
    assert caught.value.part is Part.TEXT


async def test_a_stored_image_is_not_its_own_match(gallery: Core) -> None:
    found = await gallery.search.by_images([ImageSource(image_id="red")], TextQuery(), Scope("gallery"), FIRST)
    assert set(ids(found)) == set(NAMES) - {"red"}
    assert ids(found)[0] == "orange"


async def test_bytes_find_similar_images(gallery: Core) -> None:
    found = await gallery.search.by_images(
        [ImageSource(content=picture((250, 5, 5)))], TextQuery(), Scope("gallery"), FIRST
    )
    assert ids(found)[0] == "red"


async def test_only_the_crop_of_a_stored_image_counts(core: Core) -> None:

    image = Image.new("RGB", (20, 10), COLORS["red"])
    image.paste(COLORS["blue"], (10, 0, 20, 10))
    file = io.BytesIO()
    image.save(file, "PNG")
    await core.add(
        upload(1, file.getvalue(), "both"), upload(2, picture("red"), "red"), upload(3, picture("blue"), "blue")
    )
    for crop, nearest in ((Crop(0, 0, 0.5, 1), "red"), (Crop(0.5, 0, 1, 1), "blue")):
        found = await core.search.by_images(
            [ImageSource(image_id="both", crop=crop)], TextQuery(), Scope("gallery"), FIRST
        )
        assert ids(found) == [nearest, *({"red", "blue"} - {nearest})]
    with pytest.raises(InvalidCrop) as caught:
        await core.search.by_images(
            [ImageSource(image_id="both", crop=Crop(1, 0, 0, 1))], TextQuery(), Scope("gallery"), FIRST
        )
    assert caught.value.part is Part.CROP


async def test_words_change_an_image_search(gallery: Core) -> None:
    red = ImageSource(content=picture("red"))
    more = await gallery.search.by_images([red], TextQuery(terms=(Term("green"),)), Scope("gallery"), FIRST)
    assert ids(more)[0] == "yellow"
    mostly = await gallery.search.by_images(
        [red], TextQuery(terms=(Term("blue", 3.0), Term("qwertz"))), Scope("gallery"), FIRST
    )
    assert ids(mostly)[0] in {"blue", "purple"}
    assert [each.word for each in mostly.unknown_words] == ["qwertz"]
    less = await gallery.search.by_images(
        [ImageSource(image_id="yellow")], TextQuery(terms=(Term("red", -0.9),)), Scope("gallery"), FIRST
    )
    assert ids(less)[0] == "green"


async def test_an_image_and_words_that_cancel_out_are_refused(core: Core) -> None:
    await core.add(upload(1, picture("red", size=(64, 64)), "red"))
    item = core.index.indexes[core.index.aliases["images-gallery"]].items["red"]
    word = (await core.embedder.embed_texts([TextQuery("red")])).results[0]
    core.index.indexes[core.index.aliases["images-gallery"]].items["red"] = replace(item, vector=word.vector)  # type: ignore[union-attr]
    with pytest.raises(CancelledTerms):
        await core.search.by_images(
            [ImageSource(image_id="red")], TextQuery(terms=(Term("red", -1.0),)), Scope("gallery"), FIRST
        )


async def test_a_collection_is_searched_with_its_own_model(gallery: Core) -> None:
    gallery.embedder.model = OTHER_MODEL
    assert ids(await gallery.search.by_text(TextQuery("red"), Scope("gallery"), FIRST)) == ["red"]
    red = ImageSource(content=picture((250, 5, 5)))
    assert ids(await gallery.search.by_images([red], TextQuery(), Scope("gallery"), FIRST))[0] == "red"
    assert (
        ids(await gallery.search.by_images([red], TextQuery(terms=(Term("green"),)), Scope("gallery"), FIRST))[0]
        == "yellow"
    )
    with pytest.raises(CollectionNotFound):
        await gallery.search.by_text(TextQuery("red"), Scope("nowhere"), FIRST)


async def test_a_search_follows_a_switch_made_by_another_process(gallery: Core) -> None:
    red = ImageSource(image_id="red")
    assert ids(await gallery.search.by_images([red], TextQuery(), EVERYTHING, FIRST))[0] == "orange"
    old = gallery.index.indexes[gallery.index.aliases["images-gallery"]].items.values()
    gallery.index.move(
        "images-gallery", NewIndex("images-gallery.other", MODEL.dimension, OTHER_MODEL.id, Engine.ANNOY)
    )
    items = [replace(each, vector=np.roll(each.vector, 1)) for each in old if each.vector is not None]
    await gallery.index.upsert("images-gallery", OTHER_MODEL.id, items)
    assert ids(await gallery.search.by_text(TextQuery("red"), Scope("gallery"), FIRST)) == ["red"]
    items = [replace(each, vector=np.roll(each.vector, -1)) for each in items if each.vector is not None]
    gallery.index.move("images-gallery", NewIndex("images-gallery.third", MODEL.dimension, MODEL.id, Engine.ANNOY))
    await gallery.index.upsert("images-gallery", MODEL.id, items)
    yellow = TextQuery(terms=(Term("yellow"),))
    assert ids(await gallery.search.by_images([red], yellow, EVERYTHING, FIRST))[0] == "orange"


async def test_a_search_is_two_calls_to_other_services(gallery: Core) -> None:
    await gallery.search.by_text(TextQuery("red"), Scope("gallery"), FIRST)
    before = gallery.index.descriptions
    await gallery.search.by_text(TextQuery("blue"), Scope("gallery"), FIRST)
    assert gallery.index.descriptions == before, "where the collection lies is remembered"


async def test_similar_words_exclude_those_of_the_query(tagging: Core) -> None:
    found = await tagging.search.similar_words(TextQuery("red orange"), Page(3))
    assert not {"red", "orange"} & {word.word for word in found.words}
    assert len(found.words) == 3


async def test_tags_are_only_words_for_visible_things(tagging: Core) -> None:
    found = await tagging.tagging.tag(ImageSource(content=picture("red")), "gallery", 10, None)
    assert [tag.word for tag in found.tags] == ["red", "crimson", "orange"]
    fewer = await tagging.tagging.tag(ImageSource(image_id="red"), "gallery", 10, 0.9)
    assert [tag.word for tag in fewer.tags] == ["red", "crimson"]
    every = await tagging.tagging.tag(ImageSource(image_id="red"), "gallery", 10, 0.0)
    assert {tag.word for tag in every.tags} == {word for word in COLORS if word not in {"the", "sky/blue"}}


async def test_labels_are_ranked_and_unknown_ones_named(gallery: Core) -> None:
    labels = ["blue", "qwertz", "orange", "red", "blue"]
    found = await gallery.tagging.choose(ImageSource(content=picture("red")), "gallery", labels, 10, 0.0)
    assert [tag.word for tag in found.tags] == ["red", "orange", "blue"]
    assert [each.word for each in found.unknown_words] == ["qwertz"]
    assert all(tag.similarity == pytest.approx(1 - tag.distance**2 / 2) for tag in found.tags)
    fewer = await gallery.tagging.choose(ImageSource(image_id="red"), "gallery", labels, 1, 0.0)
    assert [tag.word for tag in fewer.tags] == ["red"]
    with pytest.raises(UnknownWords):
        await gallery.tagging.choose(ImageSource(image_id="red"), "gallery", ["qwertz", "qwerty"], 1, 0.0)


async def test_stored_images_are_tagged_by_their_collections_model(
    tagging: Core,
) -> None:
    tagging.embedder.model = OTHER_MODEL
    labels = ["blue", "orange", "red"]
    for source in (ImageSource(image_id="red"), ImageSource(content=picture("red"))):
        found = await tagging.tagging.choose(source, "gallery", labels, 10, 0.0)
        assert [tag.word for tag in found.tags] == ["red", "orange", "blue"]
    stored = await tagging.tagging.tag(ImageSource(image_id="red"), "gallery", 1, None)
    assert [tag.word for tag in stored.tags] == ["red"]
    with pytest.raises(WordsNotReady):
        await tagging.tagging.tag(ImageSource(content=picture("red")), "gallery", 1, None)
    await until(lambda: len(tagging.index.optimized) == 2)
    by_bytes = await tagging.tagging.tag(ImageSource(content=picture("red")), "gallery", 1, None)
    assert [tag.word for tag in by_bytes.tags] == ["red"]


@given(slope=st.floats(0.1, 1000), offset=st.floats(-1000, 1000), similarities=st.lists(st.floats(-1, 1), min_size=2))
def test_relevance_rises_with_similarity_between_0_and_1(
    slope: float, offset: float, similarities: Sequence[float]
) -> None:
    curve = Logistic(slope, offset)
    relevances = [curve.relevance(each) for each in sorted(similarities)]
    assert all(0 <= each <= 1 for each in relevances)
    assert np.all(np.diff(relevances) >= 0)


async def test_images_and_words_are_added_and_taken_away_by_their_weights(gallery: Core) -> None:
    def found(images: list[ImageSource], *terms: Term) -> Awaitable[ImageMatches]:
        return gallery.search.by_images(images, TextQuery(terms=terms), Scope("gallery"), FIRST)

    red, green = ImageSource(content=picture("red")), ImageSource(content=picture("green"))
    assert ids(await found([red, green]))[0] == "yellow"
    assert ids(await found([ImageSource(content=picture("yellow")), replace(red, weight=-0.9)]))[0] == "green"
    assert ids(await found([replace(red, weight=0.1), green]))[0] == "green"
    assert ids(await found([replace(red, weight=-0.9)], Term("yellow")))[0] == "green"
    typed = await gallery.search.by_images([red], TextQuery("-green"), Scope("gallery"), FIRST)
    assert ids(typed) == ids(await found([red], Term("green", -1.0)))
    stored = [ImageSource(image_id="red"), ImageSource(image_id="green", weight=0.5)]
    assert set(ids(await found(stored))) == set(NAMES) - {"red", "green"}
    with pytest.raises(CancelledTerms):
        await found([red, replace(red, weight=-1.0)])
    with pytest.raises(Refused) as caught:
        await found([red, ImageSource(content=b"text")])
    assert (caught.value.part, caught.value.number) == (Part.IMAGE, 1)
