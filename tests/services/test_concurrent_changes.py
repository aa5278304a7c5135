"""Changes of one image at the same time, through a gateway, an index and sockets."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf import field_mask_pb2
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2
from semsearch.v1 import search_service_pb2 as search

from tests.services.gateway_stack import CALL_SECONDS, Stack, image, stack, struct
from tests.unit.gateway.doubles import picture, sha256

__all__ = ["stack"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

RED, BLUE = picture("red"), picture("blue")
ROUNDS = 12


async def described(stack: Stack, collection: str, image_id: str) -> image_pb2.Image:
    return (await stack.gallery.GetImage(gallery.GetImageRequest(id=image_id, collection=collection))).image


async def nearest(stack: Stack, collection: str, content: bytes) -> search.ImageMatch:
    request = search.SearchByImageRequest(content=content, collection=collection)
    return (await stack.search.SearchByImage(request)).matches[0]


async def test_changes_of_attributes_undo_no_upload_and_are_undone_by_none(stack: Stack) -> None:
    name = await stack.new_collection()
    await stack.index(name, [image(0, RED, "x")])

    async def upload(number: int) -> None:
        content = (RED, BLUE)[number % 2]
        request = gallery.BatchIndexImagesRequest(
            collection=name, images=[image(number, content, "x", {"uploaded": number})]
        )
        answer = await stack.gallery.BatchIndexImages(request, timeout=CALL_SECONDS)
        assert not answer.results[0].HasField("status")

    changed = 0
    for number in range(1, ROUNDS):
        uploading = asyncio.create_task(upload(number))
        while not uploading.done():
            changed += 1
            await stack.gallery.UpdateImage(
                gallery.UpdateImageRequest(
                    image=image_pb2.Image(id="x", collection=name, attributes=struct({"changed": changed})),
                    update_mask=field_mask_pb2.FieldMask(paths=["attributes.changed"]),
                )
            )
        await uploading
        content = (RED, BLUE)[number % 2]
        stored = await described(stack, name, "x")
        assert (stored.sha256, stored.size_bytes) == (sha256(content), len(content))
        assert stored.attributes["uploaded"] == number
        assert (await nearest(stack, name, content)).similarity == pytest.approx(1.0, abs=1e-4)
