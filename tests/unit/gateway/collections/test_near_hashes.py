"""Linked hashes against a comparison of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.collections import near_hashes
from gateway.collections.near_hashes import linked_hashes
from gateway.collections.same_picture import hashes_of

BITS = st.sets(st.integers(0, 255), max_size=16)
# Few different beginnings, so that many hashes are near one another.
HASHES = st.lists(st.tuples(st.integers(0, 2), BITS), max_size=40).map(
    lambda each: [_flipped((0x5A3C96F00F69C3A5 << 190 | 0x123456789) << seed, bits) for seed, bits in each]
)


def _flipped(number: int, bits: set[int]) -> int:
    for bit in bits:
        number ^= 1 << bit
    return number


def linked_by_all_pairs(hashes: list[int], most: int) -> list[list[int]]:
    left, groups = set(range(len(hashes))), []
    for first in range(len(hashes)):
        group, new = set[int](), {first} & left
        while new:
            group |= new
            left -= new
            new = {n for n in left if any((hashes[n] ^ hashes[each]).bit_count() <= most for each in new)}
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


@given(hashes=HASHES, most=st.integers(0, 26), at_once=st.sampled_from([1, 3, 2**20]))
def test_links_are_those_of_all_pairs(hashes: list[int], most: int, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_hashes, "_PAIRS_AT_ONCE", at_once)
        found = linked_hashes(hashes_of([f"{each:064x}" for each in hashes]), most)
    assert [group.tolist() for group in found] == linked_by_all_pairs(hashes, most)


def test_equal_hashes_are_linked_without_comparing_their_pairs() -> None:
    (group,) = linked_hashes(np.full((200_000, 4), 7, dtype=np.uint64), 10)
    assert group.tolist() == list(range(200_000))
