"""Searching and tagging through a gateway, an index and sockets."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from google.protobuf import struct_pb2
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2, model_service_pb2, query_pb2
from semsearch.v1 import search_service_pb2 as search

from tests.services.gateway_stack import CALL_SECONDS, Stack, image, stack
from tests.unit.gateway.doubles import COLORS, MODEL, photo, picture

__all__ = ["stack"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ["red", "green", "blue", "yellow", "purple", "orange"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def colors(stack: Stack) -> AsyncIterator[str]:
    """A collection of six colours; each image has its number and the letters of its name as attributes."""
    name = await stack.new_collection()
    results = await stack.index(
        name,
        [
            image(n, picture(color), color, {"n": n, "letters": list(color), "camera": {"model": color[0]}})
            for n, color in enumerate(NAMES)
        ],
    )
    assert not any(result.HasField("status") for result in results)
    yield name


def ids(response: search.SearchByTextResponse | search.SearchByImageResponse) -> list[str]:
    return [match.image.id for match in response.matches]


async def test_a_text_search_finds_an_image_with_all_its_data(stack: Stack, colors: str) -> None:
    response = await stack.search.SearchByText(search.SearchByTextRequest(query="red", collection=colors))
    [match] = response.matches
    assert (match.image.id, match.image.collection) == ("red", colors)
    assert (match.image.width, match.image.height, match.image.media_type) == (16, 12, "image/png")
    assert match.image.attributes["n"] == 0
    assert match.similarity == pytest.approx(1 - match.distance**2 / 2, abs=1e-6)
    assert match.relevance > MODEL.calibration.default_min_relevance
    assert response.next_page_token == ""


async def test_weights_negatives_and_unknown_words(stack: Stack, colors: str) -> None:
    terms = [query_pb2.Term(text="yellow"), query_pb2.Term(text="red", weight=-0.9), query_pb2.Term(text="qwertz")]
    request = search.SearchByTextRequest(terms=terms, collection=colors, min_relevance=0)
    response = await stack.search.SearchByText(request)
    assert ids(response)[0] == "green"
    assert [(word.word, list(word.suggestions)) for word in response.unknown_words] == [("qwertz", ["red"])]


async def test_nothing_relevant_is_an_empty_answer(stack: Stack, colors: str) -> None:
    request = search.SearchByTextRequest(query="red", collection=colors, min_relevance=0.9999)
    response = await stack.search.SearchByText(request)
    assert list(response.matches) == []
    assert response.next_page_token == ""


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 100])
async def test_pages_cover_every_match_exactly_once_in_order(stack: Stack, colors: str, size: int) -> None:
    whole = await stack.search.SearchByText(search.SearchByTextRequest(query="red", collection=colors, min_relevance=0))
    request = search.SearchByTextRequest(query="red", collection=colors, min_relevance=0, page_size=size)
    matches = []
    while True:
        page = await stack.search.SearchByText(request)
        assert 0 < len(page.matches) <= size
        matches += list(page.matches)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert matches == list(whole.matches)
    assert len(matches) == len(NAMES)


async def test_pages_are_stable_while_images_change(stack: Stack) -> None:
    name = await stack.new_collection()
    # All of one colour, so at equal distances, except for the first byte of each.
    await stack.index(name, [image(n, picture("red", seed=n), f"i-{n}") for n in range(30)])
    request = search.SearchByTextRequest(query="red", collection=name, min_relevance=0, page_size=4)
    shown: list[str] = []
    for turn in itertools.count():
        page = await stack.search.SearchByText(request)
        shown += ids(page)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
        gone = [shown[0], shown[-1]]
        await stack.gallery.DeleteImages(gallery.DeleteImagesRequest(collection=name, ids=gone))
        await stack.index(name, [image(turn, picture("red", seed=1_000 + turn), f"new-{turn}")])
        change = gallery.UpdateImageRequest(image=image_pb2.Image(id=f"i-{turn}", collection=name))
        if f"i-{turn}" not in shown:
            await stack.gallery.UpdateImage(change)
    assert len(shown) == len(set(shown))
    assert set(shown) >= {f"i-{n}" for n in range(30)}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (query_pb2.Condition(field="n", range=query_pb2.Range(gte=2, lt=4)), {"blue", "yellow"}),
        (query_pb2.Condition(field="letters", equals=struct_pb2.Value(string_value="w")), {"yellow"}),
        (query_pb2.Condition(field="camera.model", equals=struct_pb2.Value(string_value="g")), {"green"}),
        (query_pb2.Condition(field="image.width", range=query_pb2.Range(gt=16)), set()),
        (query_pb2.Condition(field="image.media_type", equals=struct_pb2.Value(string_value="image/png")), set(NAMES)),
        (query_pb2.Condition(field="nothing", exists=False), set(NAMES)),
    ],
    ids=["range", "list", "nested name", "width", "media type", "absent"],
)
async def test_filters_test_attributes_and_image_fields(
    stack: Stack,
    colors: str,
    condition: query_pb2.Condition,
    expected: set[str],
) -> None:
    filter_ = query_pb2.Filter(must=[condition])
    request = search.SearchByTextRequest(query="red", collection=colors, min_relevance=0, filter=filter_)
    assert set(ids(await stack.search.SearchByText(request))) == expected
    listed = await stack.gallery.ListImages(gallery.ListImagesRequest(collection=colors, filter=filter_))
    assert {each.id for each in listed.images} == expected


async def test_an_image_finds_similar_ones_but_not_itself(stack: Stack, colors: str) -> None:
    by_bytes = await stack.search.SearchByImage(
        search.SearchByImageRequest(content=picture((250, 3, 3)), collection=colors)
    )
    assert ids(by_bytes)[0] == "red"
    assert len(ids(by_bytes)) == len(NAMES)
    by_id = await stack.search.SearchByImage(search.SearchByImageRequest(image_id="red", collection=colors))
    assert set(ids(by_id)) == set(NAMES) - {"red"}
    request = search.SearchByImageRequest(image_id="red", collection=colors, page_size=2)
    paged: list[str] = []
    while True:
        page = await stack.search.SearchByImage(request)
        paged += ids(page)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert paged == ids(by_id)


async def test_words_steer_an_image_search(stack: Stack, colors: str) -> None:
    green = await stack.search.SearchByImage(
        search.SearchByImageRequest(content=picture("red"), terms=[query_pb2.Term(text="green")], collection=colors)
    )
    assert ids(green)[0] == "yellow"
    stored = await stack.search.SearchByImage(
        search.SearchByImageRequest(
            image_id="yellow", terms=[query_pb2.Term(text="red", weight=-0.9)], collection=colors
        )
    )
    assert ids(stored)[0] == "green"


async def test_tags_of_bytes_and_of_a_stored_image(stack: Stack, colors: str) -> None:
    by_bytes = await stack.search.TagImage(search.TagImageRequest(content=picture("red")))
    assert [tag.word for tag in by_bytes.tags] == ["red", "crimson", "orange"]
    by_id = await stack.search.TagImage(search.TagImageRequest(image_id="red", collection=colors, max_tags=1))
    assert [tag.word for tag in by_id.tags] == ["red"]
    assert by_id.tags[0].similarity == pytest.approx(1 - by_id.tags[0].distance ** 2 / 2, abs=1e-6)
    gray = await stack.search.TagImage(search.TagImageRequest(content=picture("the"), min_relevance=0, max_tags=1000))
    assert "the" not in {tag.word for tag in gray.tags}, "it cannot be seen"


async def test_tags_from_the_callers_labels(stack: Stack) -> None:
    request = search.TagImageRequest(content=picture("orange"), labels=["blue", "orange", "qwertz", "red"])
    response = await stack.search.TagImage(request)
    assert [tag.word for tag in response.tags] == ["orange", "red", "blue"]
    assert [word.word for word in response.unknown_words] == ["qwertz"]
    request.min_relevance = 0.9
    assert [tag.word for tag in (await stack.search.TagImage(request)).tags] == ["orange"]


async def test_pages_of_similar_words_have_all_but_the_query(stack: Stack) -> None:
    request = search.SimilarWordsRequest(query="red qwertz", page_size=3)
    words: list[str] = []
    while True:
        page = await stack.search.SimilarWords(request)
        assert [word.word for word in page.unknown_words] == ["qwertz"]
        words += [word.word for word in page.words]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert words[0] == "crimson"
    assert sorted(words) == sorted(word for word in COLORS if word not in {"red", "sky/blue"})


async def test_models_are_listed_by_id_and_page_by_page(stack: Stack) -> None:
    first = await stack.models.ListModels(model_service_pb2.ListModelsRequest(page_size=1))
    second = await stack.models.ListModels(
        model_service_pb2.ListModelsRequest(page_size=1, page_token=first.next_page_token)
    )
    assert [model.id for model in (*first.models, *second.models)] == ["another@sha256:ba9876543210", MODEL.id]
    assert second.next_page_token == ""
    serving = (await stack.models.GetModel(model_service_pb2.GetModelRequest())).model
    assert (serving.id, serving.dimension, serving.word_count, serving.active) == (MODEL.id, 4, len(COLORS), True)
    assert serving.default_min_relevance == pytest.approx(0.5)
    assert dict(serving.metrics) == MODEL.metrics


async def test_calls_to_other_services_have_the_callers_deadline(stack: Stack) -> None:
    stack.embedder.deadlines.clear()
    await stack.search.SearchByText(search.SearchByTextRequest(query="red and green"), timeout=7.0)
    await stack.search.SearchByText(search.SearchByTextRequest(query="red and blue"))
    within, default = stack.embedder.deadlines
    # gRPC rounds deadlines up to the precision of its header.
    assert within <= 7.5
    assert 7.5 < default <= 30.5


async def test_an_exceeded_deadline_is_reported(stack: Stack) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await stack.search.SearchByText(search.SearchByTextRequest(query="red"), timeout=-1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await stack.search.SearchByText(search.SearchByTextRequest(query="red"), timeout=CALL_SECONDS)


async def test_matches_are_counted_at_every_cut_and_shown_newest_first(stack: Stack) -> None:
    name = await stack.new_collection()
    times = ["2024:01:02 00:00:00", "", "2024:03:01 00:00:00", "2023:05:05 00:00:00", "2024:03:01 00:00:00"]
    uploads = [
        image(number, photo((255 - 40 * number, 40 * number, 0), taken, number), f"{number}", {"even": number % 2 == 0})
        for number, taken in enumerate(times)
    ]
    assert not any(result.HasField("status") for result in await stack.index(name, uploads))
    even = query_pb2.Filter(must=[query_pb2.Condition(field="even", equals=struct_pb2.Value(bool_value=True))])
    request = search.SearchByTextRequest(query="red", collection=name, page_size=2)
    counted = await stack.search.CountMatches(search.CountMatchesRequest(by_text=request))
    assert counted.min_relevance == pytest.approx(MODEL.calibration.default_min_relevance)
    for percent, count in enumerate(counted.counts_by_relevance):
        request.min_relevance = percent / 100
        nearest = await walk(stack, request)
        assert len(nearest) == count, percent
    request.min_relevance = 0
    request.order = query_pb2.IMAGE_ORDER_NEWEST_FIRST
    assert await walk(stack, request) == ["4", "2", "0", "3", "1"]
    by_image = search.SearchByImageRequest(
        image_id="2", collection=name, order=query_pb2.IMAGE_ORDER_NEWEST_FIRST, filter=even
    )
    assert ids(await stack.search.SearchByImage(by_image)) == ["4", "0"]
    counted = await stack.search.CountMatches(search.CountMatchesRequest(by_image=by_image))
    assert (counted.match_count, counted.counts_by_relevance[0]) == (2, 2)
    listing = gallery.ListImagesRequest(collection=name, order=query_pb2.IMAGE_ORDER_NEWEST_FIRST, page_size=2)
    listed: list[str] = []
    while listing.page_token or not listed:
        page = await stack.gallery.ListImages(listing)
        listed += [each.id for each in page.images]
        listing.page_token = page.next_page_token
    assert listed == ["4", "2", "0", "3", "1"]
    assert (await stack.gallery.CountImages(gallery.CountImagesRequest(collection=name))).image_count == 5
    assert (await stack.gallery.CountImages(gallery.CountImagesRequest(collection=name, filter=even))).image_count == 3


async def walk(stack: Stack, request: search.SearchByTextRequest) -> list[str]:
    """Return the ids on all pages."""
    shown: list[str] = []
    request.page_token = ""
    while True:
        page = await stack.search.SearchByText(request)
        shown += ids(page)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return shown


async def test_several_images_are_tagged_by_what_they_have_in_common(stack: Stack) -> None:
    await stack.wait_until_serving("semsearch.v1.SearchService")
    name = await stack.new_collection()
    await stack.index(name, [image(0, picture((255, 0, 0)), "a"), image(1, picture((1, 0, 255)), "b")])
    tags = await stack.search.TagImage(
        search.TagImageRequest(image_ids=["a", "b"], collection=name, max_tags=1, min_relevance=0)
    )
    assert [tag.word for tag in tags.tags] == ["purple"]
