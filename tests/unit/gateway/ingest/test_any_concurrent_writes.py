"""Random uploads, changes and deletions of a few images at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backends.attributes import Attributes
from gateway.collections.gallery import AttributesChange
from gateway.errors import ImageNotFound
from gateway.ingest.ingest import IngestLimits
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import COLORS, MODEL, picture, sha256

FAR_FUTURE = 2.0**40
DEADLINE = 10.0
COLORED = {picture(color): color for color in ("red", "blue", "green")}
UPLOADS = st.lists(
    st.tuples(st.sampled_from(list(COLORED)), st.sampled_from(["", "a", "b"]), st.sampled_from([None, {"n": 1.0}])),
    min_size=1,
    max_size=6,
)
DELETED = st.lists(st.sampled_from(["a", "b", sha256(picture("red"))]), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(
    streams=st.lists(UPLOADS, min_size=2, max_size=3), deletions=st.lists(DELETED, max_size=4), size=st.integers(1, 4)
)
def test_whatever_is_written_at_the_same_time_each_image_is_whole(
    tmp_path_factory: pytest.TempPathFactory,
    streams: Sequence[Sequence[tuple[bytes, str, Attributes | None]]],
    deletions: Sequence[Sequence[str]],
    size: int,
) -> None:
    async def change(core: Core, image_id: str) -> None:
        with suppress(ImageNotFound):
            await core.gallery.update("gallery", image_id, {"m": 2.0}, AttributesChange((("m",),)))

    async def run() -> None:
        core = await open_core(tmp_path_factory.mktemp("images"), IngestLimits(batch_images=size))
        async with asyncio.timeout(DEADLINE):
            answers, *_ = await asyncio.gather(
                asyncio.gather(*(core.add(*(upload(n, *each) for n, each in enumerate(sent))) for sent in streams)),
                asyncio.gather(*(core.gallery.delete("gallery", ids) for ids in deletions)),
                asyncio.gather(*(change(core, image_id) for image_id in ("a", "b") * 3)),
            )
        assert [[result.error for result in answer] for answer in answers] == [[None] * len(sent) for sent in streams]
        images, _ = await core.gallery.list_page("gallery", 100, "", None)
        items = core.index.indexes[core.index.aliases["images-gallery"]].items
        for image in images:
            content = await core.gallery.pixels("gallery", image.id)
            color = COLORS[COLORED[content]]
            assert items[image.id].vector == pytest.approx(core.embedder.vector(color, MODEL.id), abs=0.02)
        named, released = {image.sha256 for image in images}, await core.blobs.released_before(FAR_FUTURE)
        for content in COLORED:
            there = await core.blobs.holds(sha256(content), len(content))
            assert not there or sha256(content) in named | set(released), "a file that is never removed"

    asyncio.run(run())
