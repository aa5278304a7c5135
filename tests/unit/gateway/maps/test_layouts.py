from __future__ import annotations

import numpy as np
import pytest

from gateway.maps import layouts, neighbors
from gateway.maps.layouts import Places, neighborly, principal
from gateway.maps.neighbors import Vectors, nearest_rows
from gateway.maps.regions import find_regions

CLUSTERS, EACH, DIMENSION = 30, 20, 40


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Clusters in more directions than a plane has."""
    chance = np.random.default_rng(0)
    middles = chance.normal(size=(CLUSTERS, 1, DIMENSION))
    vectors = (middles + 0.4 * chance.normal(size=(CLUSTERS, EACH, DIMENSION))).reshape(-1, DIMENSION)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def laid_out(vectors: Vectors) -> Places:
    return neighborly(vectors, principal(vectors), 1, lambda _: None, lambda _: None)


def trustworthiness(vectors: Vectors, places: Places, k: int = 10) -> float:
    """Return 1 where all neighbours on the plane are neighbours in space, about 0.5 where they are any (Venna 2001)."""
    count = len(vectors)
    ranks = np.argsort(np.argsort(-(vectors @ vectors.T), axis=1), axis=1)
    distances = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    near = np.argsort(distances, axis=1)[:, 1 : k + 1]
    too_far = np.maximum(0, np.take_along_axis(ranks, near, axis=1) - k).sum()
    return float(1 - 2 / (count * k * (2 * count - 3 * k - 1)) * too_far)


def test_neighbours_stay_together_better_than_on_the_principal_axes(vectors: Vectors) -> None:
    first = principal(vectors)
    shares: list[float] = []
    final = neighborly(vectors, first, 1, lambda _: None, shares.append)
    assert trustworthiness(vectors, first) < 0.9
    assert trustworthiness(vectors, final) > 0.97
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for places in (first, final):
        assert places.dtype == np.float32
        assert np.abs(places).max() == 1.0


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_fewest_vectors_have_principal_places(vectors: Vectors, count: int) -> None:
    places = principal(vectors[:count])
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
    assert not layouts.can_be_neighborly(count)


def test_equal_vectors_have_places() -> None:
    same = np.tile(np.array([[1, 0, 0]], np.float32), (40, 1))
    assert np.isfinite(principal(same)).all()
    assert np.isfinite(laid_out(same)).all()


def test_beyond_a_bound_the_rest_is_placed_beside_its_neighbours(
    vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "_MOST", len(vectors) // 2)
    assert trustworthiness(vectors, laid_out(vectors)) > 0.95


def test_a_graph_finds_nearly_the_neighbours_that_comparing_all_finds(
    vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    right, distances = nearest_rows(vectors, 5, 1)
    monkeypatch.setattr(neighbors, "_MOST_COMPARED", 100)
    found, _ = nearest_rows(vectors, 5, 1, on_fraction=shares.append)
    assert np.mean([np.isin(each, also).mean() for each, also in zip(found, right, strict=True)]) > 0.9
    assert (np.arange(len(vectors))[:, None] != found).all()
    assert (np.diff(distances, axis=1) >= 0).all()
    assert shares == sorted(shares)


def test_regions_cover_all_places_and_lie_where_their_images_do(vectors: Vectors) -> None:
    places = laid_out(vectors)
    regions = find_regions(vectors, places)
    assert regions.counts.sum() == len(vectors)
    assert list(regions.counts) == sorted(regions.counts, reverse=True)
    assert 20 <= len(regions.counts) <= 24
    for middle, mean, row in zip(regions.middles, regions.means, regions.rows, strict=True):
        assert (places == middle).all(axis=1).any(), "a middle is a place"
        assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-5)
        assert vectors[row] @ mean > 0.6


def test_nothing_has_no_region() -> None:
    assert len(find_regions(np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32)).counts) == 0
