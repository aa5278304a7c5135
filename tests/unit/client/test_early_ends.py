"""Uploads that the server ends while images are on their way to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2, status_pb2
from grpc_status import rpc_status
from semsearch import AccessDenied, AsyncClient, Client
from semsearch.errors import SemsearchError
from semsearch.v1 import gallery_service_pb2 as pb

from tests.method_server import serving_methods

UPLOADS = 100
IMAGES = [b"x" * 65_536] * 8
REFUSED = status_pb2.Status(code=code_pb2.UNAUTHENTICATED, message="The token was revoked.")


@contextmanager
def serving(status: status_pb2.Status | None) -> Iterator[str]:
    """Serve uploads of which the first image is answered; then the call ends with a status, or without an error."""

    def index_images(requests: Iterator[pb.IndexImagesRequest], context: grpc.ServicerContext) -> Iterator[Any]:
        next(requests), next(requests)
        yield pb.IndexImagesResponse(results=[pb.IndexImagesResult(sequence=0, id="first")])
        if status is not None:
            context.abort_with_status(rpc_status.to_status(status))

    handler = grpc.stream_stream_rpc_method_handler(
        index_images, pb.IndexImagesRequest.FromString, pb.IndexImagesResponse.SerializeToString
    )
    with serving_methods("semsearch.v1.GalleryService", {"IndexImages": handler}) as address:
        yield address


async def upload(client: AsyncClient | Client) -> str:
    """Return how an upload ends; its first image has a result."""
    ids = []
    try:
        if isinstance(client, Client):
            ids.extend(result.id for result in client.index_images(IMAGES))
        else:
            ids.extend([result.id async for result in client.index_images(IMAGES)])
    except AccessDenied as error:
        return error.message
    except SemsearchError as error:
        return repr(error)
    assert ids == ["first"]
    return "no error"


@pytest.mark.parametrize(("status", "end"), [(REFUSED, REFUSED.message), (None, "no error")])
async def test_the_servers_own_status_is_what_the_caller_gets(status: status_pb2.Status | None, end: str) -> None:
    with serving(status) as address, Client(address) as client:
        async with AsyncClient(address) as twin:
            assert Counter([await upload(client) for _ in range(UPLOADS)]) == {end: UPLOADS}
            assert Counter([await upload(twin) for _ in range(UPLOADS)]) == {end: UPLOADS}
