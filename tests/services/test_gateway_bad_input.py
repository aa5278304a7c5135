"""The gateway's answers to bad input: gRPC code, reason and field."""
# ruff: noqa: E501 — a case a line

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf import field_mask_pb2, struct_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from semsearch.transport.servers_status import servers_status
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2, model_service_pb2, query_pb2
from semsearch.v1 import search_service_pb2 as search

from tests.services.gateway_stack import CALL_SECONDS, Stack, image, reason, stack
from tests.unit.gateway.doubles import picture

__all__ = ["stack"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
RED = picture("red")


@dataclass(frozen=True)
class Case:
    name: str
    request: object
    code: grpc.StatusCode
    reason: str
    field: str = ""


def text(**fields: object) -> search.SearchByTextRequest:
    return search.SearchByTextRequest(**{"query": "red", **fields})  # type: ignore[arg-type]


def nested(levels: int) -> dict[str, object]:
    """Return nested objects."""
    return {"a": nested(levels - 1)} if levels > 1 else {}


def condition(**fields: object) -> query_pb2.Filter:
    return query_pb2.Filter(must=[query_pb2.Condition(**fields)])  # type: ignore[arg-type]


NAN = struct_pb2.Value(number_value=float("nan"))
CROP = query_pb2.CropBox(left=0.5, top=0, right=0.5, bottom=1)
MASK = field_mask_pb2.FieldMask
CASES = [
    Case("empty query", text(query=""), INVALID, "EMPTY_QUERY", "query"),
    Case("query of blanks", text(query="  "), INVALID, "EMPTY_QUERY", "query"),
    Case("only unknown words", text(query="qwertz"), INVALID, "UNKNOWN_WORDS", "query"),
    Case("query and terms", text(terms=[query_pb2.Term(text="red")]), INVALID, "INVALID_FIELD", "query"),
    Case(
        "term of weight zero",
        text(query="", terms=[query_pb2.Term(text="red", weight=0)]),
        INVALID, "INVALID_FIELD", "terms[0].weight",
    ),
    Case(
        "term of weight NaN",
        text(query="", terms=[query_pb2.Term(text="red", weight=float("nan"))]),
        INVALID, "INVALID_FIELD", "terms[0].weight",
    ),
    Case("too many terms", text(query="", terms=[query_pb2.Term(text="red")] * 101), INVALID, "INVALID_FIELD", "terms"),
    Case("page size −1", text(page_size=-1), INVALID, "INVALID_FIELD", "page_size"),
    Case("page token that is none", text(page_token="abc"), INVALID, "INVALID_PAGE_TOKEN", "page_token"),
    Case("relevance above 1", text(min_relevance=1.5), INVALID, "INVALID_FIELD", "min_relevance"),
    Case("relevance NaN", text(min_relevance=float("nan")), INVALID, "INVALID_FIELD", "min_relevance"),
    Case("unknown collection", text(collection="nowhere"), NOT_FOUND, "COLLECTION_NOT_FOUND"),
    Case("collection with a slash", text(collection="a/b"), INVALID, "INVALID_ID", "collection"),
    Case("collection of 10 kB", text(collection="x" * 10_000), INVALID, "INVALID_ID", "collection"),
    Case("filter without a field", text(filter=condition(exists=True)), INVALID, "INVALID_FILTER", "filter.must[0].field"),
    Case("filter without a test", text(filter=condition(field="a")), INVALID, "INVALID_FILTER", "filter.must[0]"),
    Case("filter with NaN", text(filter=condition(field="a", equals=NAN)), INVALID, "INVALID_FILTER", "filter.must[0].equals"),
    Case(
        "nested filter with a field",
        text(filter=condition(field="a", nested=condition(field="b", exists=True))),
        INVALID, "INVALID_FILTER", "filter.must[0].field",
    ),
    Case("no image to search with", search.SearchByImageRequest(), INVALID, "INVALID_FIELD", "content"),
    Case("empty bytes", search.SearchByImageRequest(content=b""), INVALID, "NOT_AN_IMAGE", "content"),
    Case("not an image", search.SearchByImageRequest(content=b"hello"), INVALID, "NOT_AN_IMAGE", "content"),
    Case("truncated image", search.SearchByImageRequest(content=RED[:60]), INVALID, "DAMAGED_IMAGE", "content"),
    Case("image too large", search.SearchByImageRequest(content=b"x" * (2**20 + 1)), INVALID, "IMAGE_TOO_LARGE", "content"),
    Case("empty crop", search.SearchByImageRequest(content=RED, crop=CROP), INVALID, "INVALID_CROP", "crop"),
    Case("unknown image", search.SearchByImageRequest(image_id="nothing"), NOT_FOUND, "IMAGE_NOT_FOUND"),
    Case("image id with a slash", search.SearchByImageRequest(image_id="a/b"), INVALID, "INVALID_ID", "image_id"),
    Case("image id of 10 kB", search.SearchByImageRequest(image_id="x" * 10_000), INVALID, "INVALID_ID", "image_id"),
    Case(
        "only unknown terms",
        search.SearchByImageRequest(content=RED, terms=[query_pb2.Term(text="qwertz")]),
        INVALID, "UNKNOWN_WORDS", "terms",
    ),
    Case(
        "only unknown words beside an image",
        search.SearchByImageRequest(content=RED, query="qwertz"),
        INVALID, "UNKNOWN_WORDS", "query",
    ),
    Case(
        "words and terms beside an image",
        search.SearchByImageRequest(content=RED, query="red", terms=[query_pb2.Term(text="red")]),
        INVALID, "INVALID_FIELD", "query",
    ),
    Case(
        "empty term",
        search.SearchByImageRequest(content=RED, terms=[query_pb2.Term(text="red"), query_pb2.Term(text="red", weight=0)]),
        INVALID, "INVALID_FIELD", "terms[1].weight",
    ),
    Case(
        "images in two ways",
        search.SearchByImageRequest(content=RED, images=[search.ImageTerm(content=RED)]), INVALID, "INVALID_FIELD", "images",
    ),
    Case("17 images", search.SearchByImageRequest(images=17 * [search.ImageTerm(content=RED)]), INVALID, "INVALID_FIELD", "images"),
    Case(
        "an image of no weight",
        search.SearchByImageRequest(images=[search.ImageTerm(content=RED), search.ImageTerm(content=RED, weight=0)]),
        INVALID, "INVALID_FIELD", "images[1].weight",
    ),
    Case(
        "one of two is not an image",
        search.SearchByImageRequest(images=[search.ImageTerm(content=RED), search.ImageTerm(content=b"hello")]),
        INVALID, "NOT_AN_IMAGE", "images[1].content",
    ),
    Case(
        "one of two has no source",
        search.SearchByImageRequest(images=[search.ImageTerm(content=RED), search.ImageTerm()]),
        INVALID, "INVALID_FIELD", "images[1].content",
    ),
    Case("tags of nothing", search.TagImageRequest(), INVALID, "INVALID_FIELD", "content"),
    Case("tags of no image", search.TagImageRequest(content=b"hello"), INVALID, "NOT_AN_IMAGE", "content"),
    Case("−1 tags", search.TagImageRequest(content=RED, max_tags=-1), INVALID, "INVALID_FIELD", "max_tags"),
    Case("labels not understood", search.TagImageRequest(content=RED, labels=["qwertz"]), INVALID, "UNKNOWN_WORDS", "labels"),
    Case("too many labels", search.TagImageRequest(content=RED, labels=["red"] * 1001), INVALID, "INVALID_FIELD", "labels"),
    Case("similar words to nothing", search.SimilarWordsRequest(), INVALID, "EMPTY_QUERY", "query"),
    Case("similar words, page size −1", search.SimilarWordsRequest(query="red", page_size=-1), INVALID, "INVALID_FIELD", "page_size"),
    Case("distinct, newest first", search.SearchByTextRequest(query="red", distinct=True, order=1), INVALID, "INVALID_FIELD", "distinct"),
    Case("an unknown order", search.SearchByTextRequest(query="red", order=9), INVALID, "INVALID_FIELD", "order"),  # type: ignore[arg-type]
    Case("newest first, altered token", search.SearchByTextRequest(query="red", order=1, page_token="x"), INVALID, "INVALID_PAGE_TOKEN", "page_token"),
    Case("count nothing", search.CountMatchesRequest(), INVALID, "INVALID_FIELD", "search"),
    Case("count an empty query", search.CountMatchesRequest(by_text=search.SearchByTextRequest()), INVALID, "EMPTY_QUERY", "query"),
    Case(
        "count nowhere",
        search.CountMatchesRequest(by_text=search.SearchByTextRequest(query="red", collection="nowhere")),
        NOT_FOUND, "COLLECTION_NOT_FOUND",
    ),
    Case(
        "count by a filter without a test",
        search.CountMatchesRequest(
            by_text=search.SearchByTextRequest(
                query="red", filter=query_pb2.Filter(must=[query_pb2.Condition(field="a")])
            )
        ),
        INVALID, "INVALID_FILTER", "filter.must[0]",
    ),
    Case("tag one image and several", search.TagImageRequest(image_id="a", image_ids=["b"]), INVALID, "INVALID_FIELD", "image_ids"),
    Case("tag 1,001 images", search.TagImageRequest(image_ids=["a"] * 1001), INVALID, "INVALID_FIELD", "image_ids"),
    Case("tag unknown images", search.TagImageRequest(image_ids=["a"]), NOT_FOUND, "IMAGE_NOT_FOUND"),
    Case("count images nowhere", gallery.CountImagesRequest(collection="nowhere"), NOT_FOUND, "COLLECTION_NOT_FOUND"),
    Case("list in an unknown order", gallery.ListImagesRequest(order=9), INVALID, "INVALID_FIELD", "order"),  # type: ignore[arg-type]
    Case("get without an id", gallery.GetImageRequest(), INVALID, "INVALID_ID", "id"),
    Case("get the unknown", gallery.GetImageRequest(id="nothing"), NOT_FOUND, "IMAGE_NOT_FOUND"),
    Case("get from nowhere", gallery.GetImageRequest(id="a", collection="nowhere"), NOT_FOUND, "COLLECTION_NOT_FOUND"),
    Case("list, page size −1", gallery.ListImagesRequest(page_size=-1), INVALID, "INVALID_FIELD", "page_size"),
    Case("list, altered token", gallery.ListImagesRequest(page_token="x"), INVALID, "INVALID_PAGE_TOKEN", "page_token"),
    Case("list nowhere", gallery.ListImagesRequest(collection="nowhere"), NOT_FOUND, "COLLECTION_NOT_FOUND"),
    Case("delete nothing", gallery.DeleteImagesRequest(), INVALID, "INVALID_FIELD", "ids"),
    Case("delete 1,001", gallery.DeleteImagesRequest(ids=["a"] * 1001), INVALID, "INVALID_FIELD", "ids"),
    Case("delete a bad id", gallery.DeleteImagesRequest(ids=["a", "b/c"]), INVALID, "INVALID_ID", "ids[1]"),
    Case("delete nowhere", gallery.DeleteImagesRequest(ids=["a"], collection="nowhere"), NOT_FOUND, "COLLECTION_NOT_FOUND"),
    Case("update nothing", gallery.UpdateImageRequest(), INVALID, "INVALID_ID", "image.id"),
    Case("update the unknown", gallery.UpdateImageRequest(image=image_pb2.Image(id="a")), NOT_FOUND, "IMAGE_NOT_FOUND"),
    Case(
        "update what cannot be changed",
        gallery.UpdateImageRequest(image=image_pb2.Image(id="a"), update_mask=MASK(paths=["sha256"])),
        INVALID, "INVALID_FIELD", "update_mask",
    ),
    Case(
        "update a nameless attribute",
        gallery.UpdateImageRequest(image=image_pb2.Image(id="a"), update_mask=MASK(paths=["attributes."])),
        INVALID, "INVALID_FIELD", "update_mask",
    ),
    Case(
        "attributes of 100 kB",
        gallery.UpdateImageRequest(
            image=image_pb2.Image(
                id="a", attributes=struct_pb2.Struct(fields={"a": struct_pb2.Value(string_value="x" * 100_000)})
            )
        ),
        INVALID, "INVALID_FIELD", "image.attributes",
    ),
    Case("download the unknown", gallery.DownloadImageRequest(id="a"), NOT_FOUND, "IMAGE_NOT_FOUND"),
    Case("download no rendition", gallery.DownloadImageRequest(id="a", rendition=9), INVALID, "INVALID_FIELD", "rendition"),  # type: ignore[arg-type]
    Case("create without an id", gallery.CreateCollectionRequest(), INVALID, "INVALID_ID", "collection_id"),
    Case("create with capitals", gallery.CreateCollectionRequest(collection_id="A"), INVALID, "INVALID_ID", "collection_id"),
    Case(
        "create with a long name",
        gallery.CreateCollectionRequest(collection_id="a", display_name="x" * 201),
        INVALID, "INVALID_FIELD", "display_name",
    ),
    Case(
        "create twice",
        gallery.CreateCollectionRequest(collection_id="gallery"),
        grpc.StatusCode.ALREADY_EXISTS, "COLLECTION_EXISTS",
    ),
    Case("get no collection", gallery.GetCollectionRequest(collection_id="nowhere"), NOT_FOUND, "COLLECTION_NOT_FOUND"),
    Case(
        "rename the default",
        gallery.RenameCollectionRequest(collection_id="gallery", new_collection_id="a"),
        INVALID, "INVALID_FIELD", "collection_id",
    ),
    Case(
        "rename to capitals",
        gallery.RenameCollectionRequest(collection_id="a", new_collection_id="A"),
        INVALID, "INVALID_ID", "new_collection_id",
    ),
    Case(
        "rename no collection",
        gallery.RenameCollectionRequest(collection_id="nowhere", new_collection_id="a"),
        NOT_FOUND, "COLLECTION_NOT_FOUND",
    ),
    Case("delete no collection", gallery.DeleteCollectionRequest(collection_id="nowhere"), NOT_FOUND, "COLLECTION_NOT_FOUND"),
    Case("collections, page size −1", gallery.ListCollectionsRequest(page_size=-1), INVALID, "INVALID_FIELD", "page_size"),
    Case("models, page size −1", model_service_pb2.ListModelsRequest(page_size=-1), INVALID, "INVALID_FIELD", "page_size"),
    Case("unknown model", model_service_pb2.GetModelRequest(id="nothing"), NOT_FOUND, "MODEL_NOT_FOUND"),
    Case("model id of 10 kB", model_service_pb2.GetModelRequest(id="x" * 10_000), INVALID, "INVALID_FIELD", "id"),
    Case("pull nothing", model_service_pb2.PullModelRequest(), INVALID, "INVALID_FIELD", "recipe"),
    Case("pull a recipe of 10 kB", model_service_pb2.PullModelRequest(recipe="x" * 10_000), INVALID, "INVALID_FIELD", "recipe"),
    Case("pull the unknown", model_service_pb2.PullModelRequest(recipe="nothing"), NOT_FOUND, "RECIPE_NOT_FOUND"),
    Case("batch of no images", gallery.BatchIndexImagesRequest(), INVALID, "INVALID_FIELD", "images"),
    Case(
        "batch of 101 images",
        gallery.BatchIndexImagesRequest(images=[image(0, RED)] * 101),
        INVALID, "INVALID_FIELD", "images",
    ),
    Case(
        "batch for no collection",
        gallery.BatchIndexImagesRequest(collection="nowhere", images=[image(0, RED)]),
        NOT_FOUND, "COLLECTION_NOT_FOUND",
    ),
    Case("activate nothing", model_service_pb2.ActivateModelRequest(), INVALID, "INVALID_FIELD", "id"),
    Case("activate the unknown", model_service_pb2.ActivateModelRequest(id="nothing"), NOT_FOUND, "MODEL_NOT_FOUND"),
    Case("activate an unknown id", model_service_pb2.ActivateModelRequest(id="a@sha256:0"), NOT_FOUND, "MODEL_NOT_FOUND"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_bad_input_gets_code_reason_and_field(stack: Stack, case: Case) -> None:
    method = type(case.request).__name__.removesuffix("Request")
    stub = next(each for each in (stack.search, stack.gallery, stack.models) if hasattr(each, method))
    with pytest.raises(grpc.RpcError) as caught:
        await finish(getattr(stub, method)(case.request, timeout=CALL_SECONDS))
    assert (caught.value.code(), reason(caught.value)) == (case.code, case.reason)
    status = rpc_status.from_call(caught.value)
    fields = []
    for detail in status.details:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            fields += [violation.field for violation in bad_request.field_violations]
    assert fields == ([case.field] if case.field else [])
    assert len(status.message) > 10
    assert status.message[-1] == "."
    if case.code == NOT_FOUND and case.reason not in ("MODEL_NOT_FOUND", "RECIPE_NOT_FOUND"):
        assert any(detail.Is(error_details_pb2.ResourceInfo.DESCRIPTOR) for detail in status.details)


async def finish(call: Awaitable[object] | AsyncIterator[object]) -> None:
    if hasattr(call, "__await__"):
        await call
    else:
        async for _ in call:
            pass


@pytest.mark.parametrize("size", [0, 1_000_000])
async def test_page_sizes_have_a_default_and_a_maximum(stack: Stack, size: int) -> None:
    await stack.search.SearchByText(text(page_size=size))
    await stack.search.SimilarWords(search.SimilarWordsRequest(query="red", page_size=size))
    await stack.gallery.ListImages(gallery.ListImagesRequest(page_size=size))
    await stack.gallery.ListCollections(gallery.ListCollectionsRequest(page_size=size))
    await stack.models.ListModels(model_service_pb2.ListModelsRequest(page_size=size))


async def test_an_altered_or_foreign_page_token_is_refused(stack: Stack) -> None:
    request = search.SimilarWordsRequest(query="red", page_size=2)
    token = (await stack.search.SimilarWords(request)).next_page_token
    signature = token.rindex(".") + 1  # its first character: the last one contains padding bits
    altered = token[:signature] + ("A" if token[signature] != "A" else "B") + token[signature + 1 :]
    for other in (
        search.SimilarWordsRequest(query="blue", page_token=token),
        search.SimilarWordsRequest(query="red", page_token=altered),
        search.SimilarWordsRequest(query="red", page_token=token.replace(token[0], "x", 1)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            await stack.search.SimilarWords(other)
        assert reason(caught.value) == "INVALID_PAGE_TOKEN"
    await stack.search.SimilarWords(search.SimilarWordsRequest(query="red", page_size=3, page_token=token))


CONFIG = gallery.IndexImagesRequest(config=gallery.IndexImagesConfig())
UPLOAD = gallery.IndexImagesRequest(image=image(5, RED))


@pytest.mark.parametrize(
    ("requests", "code", "expected", "answered"),
    [
        ([], INVALID, "STREAM_CONFIG", 0),
        ([UPLOAD], INVALID, "STREAM_CONFIG", 0),
        ([CONFIG, UPLOAD, CONFIG], INVALID, "STREAM_CONFIG", 1),
        ([CONFIG, UPLOAD, gallery.IndexImagesRequest()], INVALID, "INVALID_FIELD", 1),
        ([CONFIG, UPLOAD, UPLOAD], INVALID, "INVALID_FIELD", 1),
        ([CONFIG, UPLOAD, gallery.IndexImagesRequest(image=image(4, RED))], INVALID, "INVALID_FIELD", 1),
        (
            [gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection="a/b"))],
            INVALID, "INVALID_ID", 0,
        ),
        (
            [gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection="nowhere")), UPLOAD],
            NOT_FOUND, "COLLECTION_NOT_FOUND", 0,
        ),
    ],
    ids=["nothing", "no config", "config twice", "no payload", "same sequence", "falling sequence", "bad id", "nowhere"],
)  # fmt: skip
async def test_an_invalid_stream_is_answered_before_its_error(
    stack: Stack,
    requests: list[gallery.IndexImagesRequest],
    code: grpc.StatusCode,
    expected: str,
    answered: int,
) -> None:
    results = []
    stream = stack.gallery.IndexImages(iter(requests), timeout=CALL_SECONDS)
    with pytest.raises(grpc.RpcError) as caught:  # noqa: PT012
        async with servers_status(stream):
            async for response in stream:
                results += list(response.results)
    assert (caught.value.code(), reason(caught.value)) == (code, expected)
    assert len(results) == answered


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (image(2, b""), "NOT_AN_IMAGE"),
        (image(2, b"hello"), "NOT_AN_IMAGE"),
        (image(2, RED[:60]), "DAMAGED_IMAGE"),
        (image(2, b"x" * (2**20 + 1)), "IMAGE_TOO_LARGE"),
        (image(2, RED, "a/b"), "INVALID_ID"),
        (image(2, RED, "x" * 10_000), "INVALID_ID"),
        (image(2, RED, "a\x00"), "INVALID_ID"),
        (image(2, RED, "a", {"a": "x" * 100_000}), "INVALID_FIELD"),
        (image(2, RED, "a", {"a": [float("nan")]}), "INVALID_FIELD"),
        (image(2, RED, "a", nested(16)), "INVALID_FIELD"),
        (image(2, RED, "a", nested(33)), "INVALID_FIELD"),
    ],
    ids=[
        "empty",
        "no image",
        "truncated",
        "too large",
        "slash",
        "10 kB id",
        "control character",
        "attributes",
        "NaN",
        "16 levels",
        "33 levels",
    ],
)
async def test_a_bad_image_gets_an_error_and_others_are_kept(
    stack: Stack,
    bad: gallery.ImageUpload,
    expected: str,
) -> None:
    name = await stack.new_collection()
    results = await stack.index(name, [image(1, picture("green")), bad, image(3, picture("blue"))])
    assert [result.HasField("status") for result in results] == [False, True, False]
    assert results[1].status.code == INVALID.value[0]
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in results[1].status.details)
    assert (info.domain, info.reason) == ("semsearch", expected)
    listed = await stack.gallery.ListImages(gallery.ListImagesRequest(collection=name))
    assert len(listed.images) == 2


async def test_attributes_of_the_greatest_depth_are_kept(stack: Stack) -> None:
    name = await stack.new_collection()
    [result] = await stack.index(name, [image(1, RED, "a", nested(15))])
    assert not result.HasField("status")
    kept = await stack.gallery.GetImage(gallery.GetImageRequest(collection=name, id="a"))
    assert kept.image.attributes == struct_pb2.Struct(fields=image(1, RED, "a", nested(15)).attributes.fields)
