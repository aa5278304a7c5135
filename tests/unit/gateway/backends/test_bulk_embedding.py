from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.backends.bulk_embedding import embed_patiently
from gateway.backends.embedding import ImageEmbedding, ImageEmbeddings, ImageInput
from gateway.errors import Overloaded
from tests.unit.gateway.doubles import ColorEmbedder, overloaded, picture

REDS = [ImageInput(picture("red", seed=number)) for number in range(5)]
SIZE = max(len(each.content) for each in REDS)


class Watched(ColorEmbedder):
    """Records the number of images of each call; refuses the first `refusals` calls."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.calls: list[int] = []
        self._refusals = refusals

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        self.calls.append(len(images))
        if self._refusals:
            self._refusals -= 1
            raise overloaded(0.001)
        return await super().embed_images(images, model_id)


@pytest.mark.parametrize(("most", "calls"), [(2 * SIZE, [2, 2, 1]), (SIZE - 1, [1] * 5), (5 * SIZE, [5])])
async def test_a_call_has_at_most_the_configured_size_or_one_image(most: int, calls: list[int]) -> None:
    embedder = Watched()
    results = await embed_patiently(embedder, REDS, "", 1.0, most)
    assert all(isinstance(each, ImageEmbedding) for each in results)
    assert embedder.calls == calls


async def test_only_refused_images_are_sent_again() -> None:
    embedder = Watched(refusals=1)
    results = await embed_patiently(embedder, REDS, "", 1.0, 2 * SIZE)
    assert all(isinstance(each, ImageEmbedding) for each in results)
    assert embedder.calls == [2, 2, 1, 2]


async def test_images_refused_repeatedly_are_reported() -> None:
    results = await embed_patiently(Watched(refusals=10**6), REDS, "", 0.01, 2 * SIZE)
    assert all(isinstance(each, Overloaded) for each in results)
