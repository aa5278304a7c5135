"""Embed images that may wait: if the embedder is overloaded, retry after the delay that it requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from gateway.backends.embedding import Embedder, ImageEmbedding, ImageInput
from gateway.errors import Overloaded, Refused

Result = ImageEmbedding | Refused


async def embed_patiently(
    embedder: Embedder, images: Sequence[ImageInput], model_id: str, patience_seconds: float, call_bytes: int
) -> list[Result]:
    """Return one result for each image, in order; images still `Overloaded` after `patience_seconds` stay so.

    A call carries at most `call_bytes`, or one larger image.

    Raises:
        DependencyUnavailable, Refused, TimeoutError: The whole call failed, for a reason other than a full queue.
    """
    clock = asyncio.get_running_loop().time
    give_up = clock() + patience_seconds
    results: dict[int, Result] = {}
    waiting = list(range(len(images)))
    while waiting:
        for call in _calls(images, waiting, call_bytes):
            try:
                answer: Sequence[Result] = (
                    await embedder.embed_images([images[place] for place in call], model_id)
                ).results
            except Overloaded as error:
                answer = [error] * len(call)
            results.update(zip(call, answer, strict=True))
        refused = {place: result for place, result in results.items() if isinstance(result, Overloaded)}
        delay = max((error.refusal.retry_after_seconds or 1.0 for error in refused.values()), default=0.0)
        waiting = list(refused)
        if clock() + delay > give_up:
            break
        if waiting:
            await asyncio.sleep(delay)
    return [results[place] for place in range(len(images))]


def _calls(images: Sequence[ImageInput], places: Sequence[int], call_bytes: int) -> Iterator[list[int]]:
    """Yield the indices of the images of each call."""
    call: list[int] = []
    size = 0
    for place in places:
        size += len(images[place].content)
        if call and size > call_bytes:
            yield call
            call, size = [], len(images[place].content)
        call.append(place)
    if call:
        yield call
