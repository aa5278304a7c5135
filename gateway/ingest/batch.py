"""Add a batch of images that were sent in one request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from gateway.errors import GatewayError
from gateway.ingest.ingest import ImageIngest
from gateway.ingest.plan import Upload
from gateway.ingest.results import UploadResult


async def add_batch(ingest: ImageIngest, collection: str, uploads: Sequence[Upload]) -> list[UploadResult]:
    """Add images to a collection and return their results, in their order.

    If an error ends the run after some images were acknowledged, it is the result of all the others, so the caller
    learns which images are stored. If no image was acknowledged, it is raised; see `ImageIngest.run`.
    """
    results: list[UploadResult] = []
    try:
        async with aclosing(ingest.run(collection, _each(uploads))) as answers:
            async for answer in answers:
                results += answer.results
    except (GatewayError, TimeoutError) as error:
        if not results:
            raise
        results += [UploadResult(upload.sequence, "", error) for upload in uploads[len(results) :]]
    return results


async def _each(uploads: Sequence[Upload]) -> AsyncIterator[Upload]:
    for upload in uploads:
        yield upload
