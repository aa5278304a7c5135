import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_service.vectors import NoDirection, distances, nearest, nearest_after, read_array, unit

HEADER = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (%b,), }\n"


def random_units(seed: int, count: int, dimension: int) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_with_nan_or_infinity_has_no_direction(bad: float) -> None:
    vectors = np.ones((3, 4), dtype=np.float32)
    vectors[1, 2] = bad
    with pytest.raises(NoDirection) as caught:
        unit(vectors)
    assert caught.value.row == 1


def test_a_zero_vector_has_no_direction() -> None:
    with pytest.raises(NoDirection, match="zero"):
        unit(np.zeros((1, 4), dtype=np.float32))


@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1.0, 3e38])
def test_a_vector_of_any_length_keeps_its_direction(scale: float) -> None:
    vector = np.zeros((1, 4), dtype=np.float32)
    vector[0, 1] = scale
    np.testing.assert_array_equal(unit(vector), [[0, 1, 0, 0]])


def test_distance_is_zero_to_itself_and_two_to_the_opposite() -> None:
    rows = random_units(0, 50, 300)
    for row in rows:
        assert distances(row, row[None, :]) == [0.0]
        assert distances(row, -row[None, :]) == [np.float32(2.0)]


@given(seed=st.integers(0, 2**32 - 1), dimension=st.integers(1, 64))
def test_distance_agrees_with_the_cosine(seed: int, dimension: int) -> None:
    query, *rest = random_units(seed, 9, dimension).astype(np.float64)
    cosines = np.clip(np.stack(rest) @ query, -1, 1)
    found = distances(query.astype(np.float32), np.stack(rest).astype(np.float32))
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found, np.sqrt(2 - 2 * cosines), atol=1e-3)


# Pages start after a distance, so it must be the same to the last bit in every search.
@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.integers(1, 70) | st.sampled_from([300, 301, 512, 4_096]),
    count=st.integers(1, 40) | st.just(500),
    picks=st.lists(st.integers(0, 39), min_size=1, max_size=60),
    offset=st.integers(0, 3),
)
def test_a_distance_depends_only_on_the_two_vectors(
    seed: int, dimension: int, count: int, picks: list[int], offset: int
) -> None:
    query, *_ = vectors = random_units(seed, count + 1, dimension)
    rows = vectors[1:]
    together = distances(query, rows)
    chosen = np.array(picks) % count
    np.testing.assert_array_equal(distances(query, rows[chosen]), together[chosen])
    np.testing.assert_array_equal(np.concatenate([distances(query, row[None, :]) for row in rows]), together)
    np.testing.assert_array_equal(distances(query, rows[::-1]), together[::-1])
    # At another place in memory, like rows of a mapped file or of a buffer.
    moved = np.empty(rows.size + offset, dtype=np.float32)[offset:].reshape(rows.shape)
    moved[:] = rows
    np.testing.assert_array_equal(distances(query.copy(), moved), together)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 60),
    k=st.integers(1, 70),
    place=st.integers(0, 59),
    share=st.sampled_from([0.05, 0.2, 0.5, 1.0]),
    copies=st.booleans(),
)
def test_every_row_from_a_distance_to_the_kth_is_proposed(
    seed: int, count: int, k: int, place: int, share: float, copies: bool
) -> None:
    generator = np.random.default_rng(seed)
    rows = random_units(seed, count, 8)
    if copies:
        rows = rows[generator.integers(0, max(1, count // 4), count)]
    eligible = generator.random(count) < share
    (query,) = random_units(seed + 1, 1, 8)
    exact = distances(query, rows)
    after = float(exact[place % count])
    found = nearest_after(query, after, k, rows, eligible)
    later = np.sort(exact[eligible & (exact > after)])
    last = later[k - 1] if len(later) >= k else np.inf
    must = np.flatnonzero(eligible & (exact >= after) & (exact <= last))
    assert eligible[found].all()
    assert set(must.tolist()) <= set(found.tolist())


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 60),
    k=st.integers(1, 70),
    share=st.sampled_from([0.05, 0.2, 0.5, 1.0]),
    copies=st.booleans(),
)
def test_every_row_up_to_the_kth_distance_is_proposed(
    seed: int, count: int, k: int, share: float, copies: bool
) -> None:
    generator = np.random.default_rng(seed)
    rows = random_units(seed, count, 8)
    if copies:
        rows = rows[generator.integers(0, max(1, count // 4), count)]
    eligible = generator.random(count) < share
    queries = random_units(seed + 1, 3, 8)
    for query, found in zip(queries, nearest(queries, k, rows, eligible), strict=True):
        exact = np.where(eligible, distances(query, rows), np.inf)
        kth = np.sort(exact)[min(k, count) - 1]
        must = np.flatnonzero(eligible & (exact <= kth))
        assert eligible[found].all()
        assert set(must.tolist()) <= set(found.tolist())


@pytest.mark.parametrize("kind", [np.float32, np.int64])
@pytest.mark.parametrize("shape", [(0,), (3,), (0, 4), (3, 4), (200_000, 2)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_arrays_are_read_as_numpy_saved_them(
    tmp_path: Path, kind: type[np.generic], shape: tuple[int, ...], transposed: bool, mapped: bool
) -> None:
    array = np.arange(math.prod(shape), dtype=kind).reshape(shape)
    file = tmp_path / "array.npy"
    np.save(file, array.T if transposed else array)
    read = read_array(file, mapped=mapped)
    assert np.array_equal(read, np.load(file))
    assert (read.dtype, read.shape) == (np.dtype(kind), np.load(file).shape)


@settings(max_examples=300, deadline=None)
@given(
    content=st.binary(max_size=300) | st.binary(max_size=40).map(lambda end: b"\x93NUMPY\x01\x00v\x00" + end),
    mapped=st.booleans(),
)
@example(content=b"PK\x03\x04", mapped=False)
@example(
    content=b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9" + 99 * b"9" + b",), }\n",
    mapped=True,
)
def test_what_is_no_array_is_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, mapped: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "array.npy"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"array\.npy"):
        read_array(file, mapped=mapped)
