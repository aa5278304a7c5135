"""Groups of images that show the same picture, over doubles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.embedding import Vector
from gateway.backends.vector_index import Item
from gateway.collections.duplicates import DuplicatesFound, groups_of
from gateway.collections.images import StoredImage
from gateway.collections.same_picture import MAX_BITS, MIN_COSINE
from tests.unit.gateway.core import Core
from tests.unit.gateway.doubles import MODEL

LOOKS = 0x5A3C96F00F69C3A5 << 170 | 0x7FFF << 40
_ANGLE = float(np.arccos(MIN_COSINE))

# Bits in which the hash differs from `LOOKS`; the vector's angle, in steps of which one is in bounds; size and bytes.
CANDIDATES = st.lists(
    st.tuples(
        st.sets(st.integers(0, 255), max_size=MAX_BITS),
        st.integers(0, 4),
        st.sampled_from([1, 2, 3]),
        st.sampled_from([10, 20]),
    ),
    max_size=12,
)


def image(number: int, looks: int | None, *, edge: int = 1, size: int = 1) -> StoredImage:
    text = "" if looks is None else f"{looks:064x}"
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredImage(
        f"i-{number}", "gallery", {}, f"{number:064x}", "image/png", size, edge, edge, time, perceptual_hash=text
    )


def vector(steps: int) -> Vector:
    angle = steps * _ANGLE * 0.9
    return np.array([np.cos(angle), np.sin(angle), 0, 0], dtype=np.float32)


def flipped(looks: int, bits: set[int]) -> int:
    for bit in bits:
        looks ^= 1 << bit
    return looks


@given(CANDIDATES)
def test_a_group_is_the_best_copy_and_all_that_show_the_same(
    candidates: list[tuple[set[int], int, int, int]],
) -> None:
    given = [
        (image(number, flipped(LOOKS, bits), edge=edge, size=size), vector(steps))
        for number, (bits, steps, edge, size) in enumerate(candidates)
    ]
    left = sorted(given, key=lambda each: (-each[0].width, -each[0].size_bytes, int(each[0].id[2:])))
    expected = []
    while left:
        best, others = left[0], left[1:]
        same = [each for each in others if _same(best, each)]
        if same:
            expected.append([best[0], *(each[0] for each in same)])
        left = [each for each in others if not _same(best, each)]
    assert [list(group) for group in groups_of(given)] == expected


def _same(one: tuple[StoredImage, Vector], other: tuple[StoredImage, Vector]) -> bool:
    bits = (int(one[0].perceptual_hash, 16) ^ int(other[0].perceptual_hash, 16)).bit_count()
    return bits <= MAX_BITS and float(np.dot(one[1], other[1])) >= MIN_COSINE


async def store(core: Core, *images: tuple[StoredImage, int]) -> None:
    items = [Item(each.id, each.item_attributes(), vector(steps)) for each, steps in images]
    await core.index.upsert("images-gallery", MODEL.id, items)


async def find(core: Core) -> tuple[list[list[str]], Sequence[DuplicatesFound]]:
    steps = [step async for step in core.duplicates.find("gallery")]
    return [[each.id for each in group] for step in steps for group in step.groups], steps


async def test_groups_come_with_the_best_copy_first(core: Core) -> None:
    await store(
        core,
        (image(0, LOOKS, edge=10, size=5), 0),
        (image(1, ~LOOKS & 2**256 - 1), 0),
        (image(2, LOOKS ^ 1, edge=20, size=4), 0),
        (image(3, LOOKS ^ 2, edge=20, size=9), 0),
        (image(4, LOOKS ^ 4, edge=20, size=9), 0),
    )
    groups, steps = await find(core)
    assert groups == [["i-3", "i-4", "i-2", "i-0"]]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total


async def test_the_same_hash_with_another_vector_is_another_picture(core: Core) -> None:
    await store(core, (image(0, LOOKS), 0), (image(1, LOOKS), 4))
    assert (await find(core))[0] == []


async def test_images_without_hash_or_contrast_are_counted_and_never_grouped(core: Core) -> None:
    await store(core, *((image(number, looks), 0) for number, looks in enumerate([None, None, 0, 0, 0, LOOKS])))
    groups, steps = await find(core)
    assert groups == []
    assert (steps[-1].unhashed, steps[-1].plain) == (2, 3)


async def test_what_is_deleted_meanwhile_is_left_out(core: Core) -> None:
    await store(core, *((image(number, LOOKS), 0) for number in range(3)))
    groups: list[list[str]] = []
    async for step in core.duplicates.find("gallery"):
        groups += [[each.id for each in group] for group in step.groups]
        if not step.groups:
            await core.index.delete_items("images-gallery", ["i-1"])
    assert groups == [["i-0", "i-2"]]
