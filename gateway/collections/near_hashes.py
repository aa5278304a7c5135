"""Group 256-bit hashes that are linked by small differences, without comparing all pairs.

The bits are cut into enough bands that two near hashes differ by at most one bit in some band (multi-index hashing,
Norouzi et al. 2012). So only hashes that share a band, up to one bit, are compared. NumPy compares a bounded number of
pairs at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_BITS = 256
_MOST_BAND_BITS = 20  # a table has an entry for each value of a band
_PAIRS_AT_ONCE = 2**20

_Numbers = NDArray[np.int64]
_Hashes = NDArray[np.uint64]  # (n, 4)


def linked_hashes(hashes: _Hashes, most: int) -> list[_Numbers]:
    """Return the groups of two or more hashes that are linked by steps of at most `most` bits.

    A group holds indices into `hashes`, ascending; the groups are ordered by their first indices.
    """
    different, numbers = np.unique(hashes, axis=0, return_inverse=True)
    labels = np.arange(len(different))
    for left, right in _near_pairs(different, most):
        _link(labels, left, right)
    of_places = labels[numbers]
    places = np.argsort(of_places, kind="stable")
    starts = np.flatnonzero(np.diff(of_places[places])) + 1
    groups = [group for group in np.split(places, starts) if len(group) > 1]
    return sorted(groups, key=lambda group: int(group[0]))


def _near_pairs(hashes: _Hashes, most: int) -> Iterator[tuple[_Numbers, _Numbers]]:
    """Yield pairs of indices of near hashes; some pairs are yielded several times."""
    width = min(max(len(hashes).bit_length(), 8), _MOST_BAND_BITS)
    bands = max(most // 2 + 1, -(-_BITS // width))
    edges = [_BITS * band // bands for band in range(bands + 1)]
    for low, high in pairwise(edges):
        keys = _band(hashes, low, high)
        order = np.argsort(keys, kind="stable")
        keys, ordered = keys[order], hashes[order]
        starts = np.concatenate(([0], np.cumsum(np.bincount(keys, minlength=2 ** (high - low)))))
        # With more bands than differing bits, at least one band is equal.
        for flipped in (0, *(1 << bit for bit in range(high - low) if bands <= most)):
            # Each pair once: from the hash that lacks the bit, or if none is flipped, from the earlier one.
            ones = np.flatnonzero(keys & flipped == 0)
            wanted = keys[ones] ^ flipped
            begins = starts[wanted] if flipped else ones + 1
            for left, right in _expanded(ones, begins, starts[wanted + 1]):
                near = np.bitwise_count(ordered[left] ^ ordered[right]).sum(axis=1) <= most
                yield order[left[near]], order[right[near]]


def _band(hashes: _Hashes, low: int, high: int) -> _Numbers:
    """Return the bits `low` to `high` of hashes as numbers."""
    first, last = low // 8, -(-high // 8)
    numbers = np.zeros(len(hashes), dtype=np.int64)
    for byte in np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, _BITS // 8)[:, first:last].T:
        numbers = (numbers << 8) | byte
    numbers >>= 8 * last - high
    numbers &= 2 ** (high - low) - 1
    return numbers


def _expanded(ones: _Numbers, begins: _Numbers, ends: _Numbers) -> Iterator[tuple[_Numbers, _Numbers]]:
    """Yield each of `ones` paired with each number in its range, about `_PAIRS_AT_ONCE` pairs at a time."""
    counts = np.cumsum(ends - begins)
    start = 0
    while start < len(ones):
        done = int(counts[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(counts, done + _PAIRS_AT_ONCE, side="right")))
        some = ends[start:stop] - begins[start:stop]
        firsts = begins[start:stop] - (counts[start:stop] - some - done)
        yield np.repeat(ones[start:stop], some), np.arange(int(some.sum())) + np.repeat(firsts, some)
        start = stop


def _link(labels: _Numbers, left: _Numbers, right: _Numbers) -> None:
    """Give linked hashes the same label, the smallest of theirs."""
    while True:
        ones, others = labels[left], labels[right]
        if np.array_equal(ones, others):
            return
        np.minimum.at(labels, np.maximum(ones, others), np.minimum(ones, others))
        while not np.array_equal(shorter := labels[labels], labels):
            labels[:] = shorter
