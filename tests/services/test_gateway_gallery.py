"""Storing images through a gateway, an index and sockets."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf import field_mask_pb2
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2, query_pb2
from semsearch.v1 import search_service_pb2 as search

from serving.received_errors import from_status
from tests.services.gateway_stack import CALL_SECONDS, Stack, image, reason, stack, struct
from tests.unit.gateway.doubles import MODEL, overloaded, picture, sha256

__all__ = ["stack"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

RED = picture("red")


async def listed(stack: Stack, collection: str, page_size: int = 0) -> list[image_pb2.Image]:
    request = gallery.ListImagesRequest(collection=collection, page_size=page_size)
    images: list[image_pb2.Image] = []
    while True:
        page = await stack.gallery.ListImages(request)
        images += list(page.images)
        if not page.next_page_token:
            return images
        request.page_token = page.next_page_token


async def download(stack: Stack, request: gallery.DownloadImageRequest) -> tuple[str, int, bytes]:
    chunks = [chunk async for chunk in stack.gallery.DownloadImage(request, timeout=CALL_SECONDS)]
    return chunks[0].media_type, chunks[0].size_bytes, b"".join(chunk.chunk for chunk in chunks)


async def test_indexing_twice_changes_nothing(stack: Stack) -> None:
    name = await stack.new_collection()
    images = [image(n, picture("blue", seed=n), f"id-{n}" if n % 2 else "", {"n": n}) for n in range(40)]
    first = await stack.index(name, images)
    assert [result.sequence for result in first] == list(range(40))
    before = await listed(stack, name)
    assert [each.attributes["n"] for each in before] == list(range(40)), "oldest first"

    embedded = stack.embedder.embedder.embedded_images
    second = await stack.index(name, images)

    assert [result.id for result in second] == [result.id for result in first]
    assert not any(result.HasField("status") for result in second)
    assert [bool(result.duplicate_of) for result in second] == [n % 2 == 0 for n in range(40)]
    assert await listed(stack, name, page_size=7) == before
    assert stack.embedder.embedder.embedded_images == embedded


async def test_every_answer_has_the_last_durable_sequence(stack: Stack) -> None:
    name = await stack.new_collection()

    async def requests() -> AsyncIterator[gallery.IndexImagesRequest]:
        yield gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection=name))
        for n in range(50):
            yield gallery.IndexImagesRequest(image=image(10 * n, picture("green", seed=n)))

    durable = -1
    async for response in stack.gallery.IndexImages(requests(), timeout=CALL_SECONDS):
        assert response.durable_sequence > durable
        durable = response.durable_sequence
        assert [result.sequence for result in response.results][-1] == durable
        found = await stack.gallery.GetImage(gallery.GetImageRequest(id=response.results[-1].id, collection=name))
        assert found.image.sha256 == response.results[-1].id
    assert durable == 490


async def test_images_acknowledged_before_cancellation_are_kept(stack: Stack) -> None:
    name = await stack.new_collection()
    go_on = asyncio.Event()

    async def requests() -> AsyncIterator[gallery.IndexImagesRequest]:
        yield gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection=name))
        for n in range(3):
            yield gallery.IndexImagesRequest(image=image(n, picture("green", seed=n)))
        await go_on.wait()

    stream = stack.gallery.IndexImages(requests(), timeout=CALL_SECONDS)
    acknowledged: set[str] = set()
    async for response in stream:
        acknowledged |= {result.id for result in response.results}
        if response.durable_sequence == 2:
            break
    stream.cancel()
    go_on.set()
    assert acknowledged == {each.id for each in await listed(stack, name)}
    assert len(acknowledged) == 3


async def test_an_overloaded_embedder_is_waited_for(stack: Stack) -> None:
    refusals = iter([overloaded(0.01)] * 3)

    def refuse() -> None:
        if error := next(refusals, None):
            raise error

    name = await stack.new_collection()
    stack.embedder.embedder.before_images = refuse
    try:
        [result] = await stack.index(name, [image(1, RED)])
    finally:
        stack.embedder.embedder.before_images = lambda: None
    assert result.id == sha256(RED)
    assert next(refusals, None) is None


async def test_deleting_the_default_collection_only_empties_it(stack: Stack) -> None:
    await stack.index("", [image(1, RED), image(2, picture("blue"))])
    get = gallery.GetCollectionRequest(collection_id="gallery")
    before = (await stack.gallery.GetCollection(get)).collection
    assert (before.image_count, before.model_id, before.display_name) == (2, MODEL.id, "Gallery")
    delete = gallery.DeleteCollectionRequest(collection_id="gallery")
    assert (await stack.gallery.DeleteCollection(delete)).deleted_image_count == 2
    after = (await stack.gallery.GetCollection(get)).collection
    assert (after.image_count, after.create_time) == (0, before.create_time)
    assert await listed(stack, "") == []


async def test_a_collection_exists_until_it_is_deleted(stack: Stack) -> None:
    created = (
        await stack.gallery.CreateCollection(
            gallery.CreateCollectionRequest(collection_id="zoo", display_name="The zoo")
        )
    ).collection
    assert (created.id, created.display_name, created.image_count) == ("zoo", "The zoo", 0)
    await stack.index("zoo", [image(1, RED)])
    request = gallery.ListCollectionsRequest(page_size=1)
    ids: list[str] = []
    while True:
        page = await stack.gallery.ListCollections(request)
        ids += [each.id for each in page.collections]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert ids == sorted(ids)
    assert {"gallery", "zoo"} <= set(ids)
    deleted = await stack.gallery.DeleteCollection(gallery.DeleteCollectionRequest(collection_id="zoo"))
    assert deleted.deleted_image_count == 1
    with pytest.raises(grpc.RpcError) as caught:
        await stack.gallery.GetCollection(gallery.GetCollectionRequest(collection_id="zoo"))
    assert reason(caught.value) == "COLLECTION_NOT_FOUND"


async def test_attributes_change_as_the_mask_says(stack: Stack) -> None:
    name = await stack.new_collection()
    await stack.index(name, [image(1, RED, "a", {"album": "x", "n": 1})])
    before = (await stack.gallery.GetImage(gallery.GetImageRequest(id="a", collection=name))).image

    async def update(attributes: dict[str, object], *paths: str) -> dict[str, object]:
        request = gallery.UpdateImageRequest(
            image=image_pb2.Image(id="a", collection=name, attributes=struct(attributes)),
            update_mask=field_mask_pb2.FieldMask(paths=paths),
        )
        await stack.gallery.UpdateImage(request)
        now = (await stack.gallery.GetImage(gallery.GetImageRequest(id="a", collection=name))).image
        attributes = dict(now.attributes.items())
        now.attributes.CopyFrom(before.attributes)
        assert now == before, "nothing else changes"
        return attributes

    assert await update({"n": 2, "album": "y"}, "attributes.n") == {"album": "x", "n": 2}
    assert await update({"new": True}, "attributes.new", "attributes.n") == {"album": "x", "new": True}
    assert await update({"f.number": 8}, "attributes.`f.number`") == {"album": "x", "f.number": 8, "new": True}
    by_dotted = query_pb2.Condition(field="`f.number`", range=query_pb2.Range(gte=8))
    request = gallery.ListImagesRequest(collection=name, filter=query_pb2.Filter(must=[by_dotted]))
    assert len((await stack.gallery.ListImages(request)).images) == 1
    assert await update({"only": "this"}) == {"only": "this"}
    assert await update({}, "attributes") == {}


async def test_deleted_images_are_gone_and_unknown_ones_are_named(stack: Stack) -> None:
    name = await stack.new_collection()
    await stack.index(name, [image(1, RED, "a"), image(2, picture("blue"), "b")])
    deleted = await stack.gallery.DeleteImages(gallery.DeleteImagesRequest(ids=["a", "nothing"], collection=name))
    assert (deleted.deleted_count, list(deleted.unknown_ids)) == (1, ["nothing"])
    assert [each.id for each in await listed(stack, name)] == ["b"]
    [again] = await stack.index(name, [image(1, RED, "c")])
    assert (again.id, again.duplicate_of) == ("c", "")


async def test_the_original_comes_back_byte_for_byte_in_chunks(stack: Stack) -> None:
    noise = Image.effect_noise((1000, 700), 90)
    file = io.BytesIO()
    noise.save(file, "PNG")
    content = file.getvalue()
    assert len(content) > 2 * 256 * 2**10
    name = await stack.new_collection()
    [result] = await stack.index(name, [image(1, content)])
    request = gallery.DownloadImageRequest(id=result.id, collection=name)
    assert await download(stack, request) == ("image/png", len(content), content)


async def test_the_thumbnail_is_a_small_webp(stack: Stack) -> None:
    name = await stack.new_collection()
    await stack.index(name, [image(1, picture("red", size=(900, 600)), "big")])
    request = gallery.DownloadImageRequest(id="big", collection=name, rendition=gallery.RENDITION_THUMBNAIL)
    media_type, size, content = await download(stack, request)
    assert (media_type, size) == ("image/webp", len(content))
    opened = Image.open(io.BytesIO(content))
    assert (opened.format, opened.size) == ("WEBP", (320, 213))


@pytest.mark.parametrize("rendition", [gallery.RENDITION_ORIGINAL, gallery.RENDITION_THUMBNAIL])
@pytest.mark.parametrize("damage", ["missing", "flipped bit"])
async def test_a_lost_or_damaged_file_does_not_hide_its_image(
    stack: Stack,
    rendition: gallery.Rendition.ValueType,
    damage: str,
) -> None:
    content = picture("purple", seed=rendition * 10 + len(damage))
    name = await stack.new_collection()
    [result] = await stack.index(name, [image(1, content)])
    for path in (stack.data / "images" / result.id[:2] / result.id[2:]).iterdir():
        if damage == "missing":
            path.unlink()
        else:
            damaged = bytearray(path.read_bytes())
            damaged[len(damaged) // 2] ^= 1
            path.write_bytes(damaged)
    with pytest.raises(grpc.RpcError) as caught:
        await download(stack, gallery.DownloadImageRequest(id=result.id, collection=name, rendition=rendition))
    assert caught.value.code() == grpc.StatusCode.DATA_LOSS
    assert reason(caught.value) == "BLOB_MISSING"
    assert (await stack.gallery.GetImage(gallery.GetImageRequest(id=result.id, collection=name))).image.id == result.id


async def test_pages_of_large_attributes_fit_into_a_message(stack: Stack) -> None:
    name = await stack.new_collection()
    images = [image(n, picture("red", seed=n), f"large-{n:03}", {"text": "x" * 60_000}) for n in range(100)]
    results = await stack.index(name, images)
    assert not any(result.HasField("status") for result in results)
    # The client accepts messages of 4 MiB, the default.
    assert [each.id for each in await listed(stack, name)] == [each.id for each in images]
    request = search.SearchByTextRequest(query="red", collection=name, page_size=100, min_relevance=0)
    found: list[str] = []
    while True:
        page = await stack.search.SearchByText(request)
        found += [match.image.id for match in page.matches]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sorted(found) == [each.id for each in images]
    deleted = await stack.gallery.DeleteImages(gallery.DeleteImagesRequest(ids=found, collection=name))
    assert deleted.deleted_count == 100


async def test_camera_metadata_is_kept_and_can_be_filtered(stack: Stack) -> None:
    name = await stack.new_collection()
    months = ["2024:05:31 23:59:59", "2024:06:01 00:00:00", "2024:08:31 12:00:00", "2024:09:01 00:00:00"]
    photos = [photo("green", time, seed=number) for number, time in enumerate(months)]
    await stack.index(name, [image(n, content) for n, content in enumerate([*photos, picture("blue")])])

    images = await listed(stack, name)
    assert [each.taken_time for each in images] == [
        "2024-05-31T23:59:59+02:00",
        "2024-06-01T00:00:00+02:00",
        "2024-08-31T12:00:00+02:00",
        "2024-09-01T00:00:00+02:00",
        "",
    ]
    assert (images[0].camera, images[0].lens) == ("Canon EOS R5", "50 mm")
    assert (images[0].latitude, images[0].longitude) == (-33.857, 151.215)
    assert not images[4].HasField("latitude")
    assert [each.orientation for each in images] == [1] * 5
    assert all(len(each.perceptual_hash) == 64 for each in images)

    async def found(*conditions: query_pb2.Condition) -> list[str]:
        request = gallery.ListImagesRequest(collection=name, filter=query_pb2.Filter(must=conditions))
        return [each.taken_time[:10] for each in (await stack.gallery.ListImages(request)).images]

    summer = query_pb2.Condition(field="image.taken_time", text_range=query_pb2.TextRange(gte="2024-06", lt="2024-09"))
    assert await found(summer) == ["2024-06-01", "2024-08-31"]
    south = query_pb2.Condition(field="image.latitude", range=query_pb2.Range(lt=-33.8))
    assert await found(summer, south) == ["2024-06-01", "2024-08-31"]
    known = query_pb2.Condition(field="image.taken_time", exists=False)
    assert await found(known) == [""]


def photo(color: str, time: str, seed: int) -> bytes:
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = "Canon", "Canon EOS R5"
    taken, place = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
    taken[Base.DateTimeOriginal], taken[Base.OffsetTimeOriginal], taken[Base.LensModel] = time, "+02:00", "50 mm"
    place[GPS.GPSLatitudeRef], place[GPS.GPSLatitude] = "S", (33.0, 51.0, 25.2)
    place[GPS.GPSLongitudeRef], place[GPS.GPSLongitude] = "E", (151.0, 12.0, 54.0)
    file = io.BytesIO()
    Image.open(io.BytesIO(picture(color, seed=seed))).convert("RGB").save(file, "JPEG", exif=exif)
    return file.getvalue()


async def test_a_referenced_original_is_not_stored_until_it_is_sent(stack: Stack) -> None:
    name = await stack.new_collection()
    content = picture("red", seed=77)
    upload = image(1, content)
    upload.original_at = "nas/beach.png"
    [result, other] = await stack.index(name, [upload, image(2, picture("red", seed=78))])
    wanted = gallery.DownloadImageRequest(id=result.id, collection=name)

    listed_image = (await listed(stack, name))[0]
    assert (listed_image.original_at, listed_image.size_bytes) == ("nas/beach.png", len(content))
    with pytest.raises(grpc.RpcError) as raised:
        await download(stack, wanted)
    assert reason(raised.value) == "ORIGINAL_ELSEWHERE"
    thumbnail = gallery.DownloadImageRequest(id=result.id, collection=name, rendition=gallery.RENDITION_THUMBNAIL)
    assert (await download(stack, thumbnail))[0] == "image/webp"
    crop = query_pb2.CropBox(left=0, top=0, right=0.5, bottom=1)
    request = search.SearchByImageRequest(image_id=result.id, crop=crop, collection=name, min_relevance=0)
    assert (await stack.search.SearchByImage(request)).matches[0].image.id == other.id, "by its thumbnail"

    embedded = stack.embedder.embedder.embedded_images
    [again] = await stack.index(name, [upload])
    assert again.duplicate_of == result.id
    assert stack.embedder.embedder.embedded_images == embedded, "nothing is missing"

    [stored] = await stack.index(name, [image(1, content)])
    assert stored.id == result.id
    assert (await listed(stack, name))[0].original_at == ""
    assert (await download(stack, wanted))[2] == content
    await stack.index(name, [upload])
    assert (await listed(stack, name))[0].original_at == "", "what is stored stays stored"


async def test_too_long_a_reference_refuses_only_its_image(stack: Stack) -> None:
    name = await stack.new_collection()
    long, good = image(1, picture("red", seed=1)), image(2, picture("red", seed=2))
    long.original_at = "x" * 1_001
    refused, added = await stack.index(name, [long, good])
    assert "image.original_at" in refused.status.message
    assert not added.HasField("status")


async def test_a_collection_says_how_much_of_the_disk_it_takes(stack: Stack) -> None:
    name = await stack.new_collection()
    contents = [picture("red", seed=number) for number in range(3)]
    uploads = [image(number, content) for number, content in enumerate(contents)]
    uploads[2].original_at = "elsewhere"
    await stack.index(name, uploads)
    sizes = [each.stored_bytes for each in await listed(stack, name)]
    assert sizes[0] > len(contents[0])
    assert 0 < sizes[2] < sizes[0]
    found = (await stack.gallery.GetCollection(gallery.GetCollectionRequest(collection_id=name))).collection
    assert found.image_bytes == sum(sizes)
    assert found.index_bytes > 0


async def test_a_batch_is_answered_in_its_order_with_a_status_for_each(stack: Stack) -> None:
    name = await stack.new_collection()
    images = [
        image(5, picture("blue", seed=1), "first", {"n": 1}),
        image(5, b"no picture", "second"),
        image(0, picture("blue", seed=1)),
        image(0, picture("blue", seed=2), "a/b"),
        image(9, picture("blue", seed=2)),
    ]
    answer = await stack.gallery.BatchIndexImages(
        gallery.BatchIndexImagesRequest(collection=name, images=images), timeout=CALL_SECONDS
    )
    assert [result.sequence for result in answer.results] == [5, 5, 0, 0, 9]
    assert [from_status(result.status)[0] for result in answer.results] == [
        "", "NOT_AN_IMAGE", "", "INVALID_ID", "",
    ]  # fmt: skip
    assert answer.results[2].duplicate_of == "first"
    assert [each.id for each in await listed(stack, name)] == ["first", sha256(images[4].content)]
