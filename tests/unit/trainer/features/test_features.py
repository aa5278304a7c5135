"""The feature cache and what fills it."""

from __future__ import annotations

import hashlib
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.errors import CacheInUse, CacheMismatch, NotWritten, TrainingSetUnusable
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.computing import Extractor, Undecodable, compute_features

SPEC = CacheSpec(extractor="test", views=("plain", "mirrored"), dimension=3, dtype="float32")


@dataclass(frozen=True)
class Image:
    content: bytes
    labels: tuple[str, ...]
    key: str = "somewhere"


class Backbone:
    """Counts what it computes. The features of a picture are its left, middle and right pixel."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.computed = 0
        self.dies_after = dies_after

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.dies_after is not None and self.computed >= self.dies_after:
            raise KeyboardInterrupt
        self.computed += len(pixels)
        return pixels[:, 0, :, 0].astype(np.float32)


def decode(content: bytes) -> NDArray[np.uint8]:
    if content.startswith(b"bad"):
        raise Undecodable("not a picture")
    row = np.frombuffer(hashlib.sha256(content).digest()[:3], dtype=np.uint8)
    return np.repeat(row[None, :, None], 3, axis=0).repeat(3, axis=2)


def extractor(network: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Extractor:
    return Extractor("test", 3, decode, network, input_size=3)


IMAGES = [Image(f"picture {number}".encode(), ("ab"[number % 2],)) for number in range(10)]


def test_features_of_each_view_stand_in_the_images_order(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, SPEC) as cache:
        features = compute_features(IMAGES, ["a", "b"], extractor(Backbone()), cache, batch_size=4)
    everything = np.arange(len(IMAGES))
    expected = np.stack([decode(image.content)[0, :, 0] for image in IMAGES])
    np.testing.assert_array_equal(features.take(everything), expected)
    np.testing.assert_array_equal(features.take(everything, 1), expected[:, ::-1])
    assert features.labels.tolist() == [[0], [1]] * 5


def test_an_image_is_computed_once_across_data_sets_and_places(tmp_path: Path) -> None:
    backbone = Backbone()
    with FeatureCache(tmp_path, SPEC) as cache:
        compute_features([*IMAGES, IMAGES[0]], ["a", "b"], extractor(backbone), cache, batch_size=4)
    with FeatureCache(tmp_path, SPEC) as cache:
        again = compute_features(IMAGES[::-1], ["a", "b"], extractor(backbone), cache)
    assert backbone.computed == 2 * len(IMAGES)
    np.testing.assert_array_equal(again.take(np.array([9])), [decode(IMAGES[0].content)[0, :, 0]])


def test_an_interrupted_run_keeps_the_batches_it_finished(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, SPEC) as cache, pytest.raises(KeyboardInterrupt):
        compute_features(IMAGES, ["a", "b"], extractor(Backbone(dies_after=8)), cache, batch_size=4)
    rest = Backbone()
    with FeatureCache(tmp_path, SPEC) as cache:
        assert len(cache) == 4
        features = compute_features(IMAGES, ["a", "b"], extractor(rest), cache, batch_size=4)
    assert rest.computed == 2 * 6
    assert len(features) == len(IMAGES)


@pytest.mark.parametrize("lost", range(0, 4 * 24 + 1, 7))
def test_opening_drops_rows_without_keys_and_keys_without_rows(tmp_path: Path, lost: int) -> None:
    """Whatever part of an append reached the disk before a kill, what is left is whole rows with the right key."""
    keys = [hashlib.sha256(image.content).digest() for image in IMAGES]
    rows = np.arange(10 * 6, dtype=np.float32).reshape(10, 2, 3)
    with FeatureCache(tmp_path, SPEC) as cache:
        cache.append(keys, rows)
    for name, size in (("rows.bin", 10 * 24 - lost), ("keys.bin", 10 * 32 - lost // 2)):
        with (tmp_path / name).open("r+b") as file:
            file.truncate(size)
    with FeatureCache(tmp_path, SPEC) as cache:
        kept = len(cache)
        assert kept == min((240 - lost) // 24, (320 - lost // 2) // 32)
        cache.append(keys[kept:], rows[kept:])
        np.testing.assert_array_equal(cache.memory_map()[cache.rows_of(keys)], rows)


def test_a_cache_of_another_backbone_is_refused(tmp_path: Path) -> None:
    FeatureCache(tmp_path, SPEC).close()
    with pytest.raises(CacheMismatch, match="another backbone"):
        FeatureCache(tmp_path, CacheSpec("other", SPEC.views, 3, "float32"))


def test_a_second_writer_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, SPEC), pytest.raises(CacheInUse):
        FeatureCache(tmp_path, SPEC)
    FeatureCache(tmp_path, SPEC).close()


def test_a_key_is_never_written_twice(tmp_path: Path) -> None:
    key, row = bytes(32), np.zeros((1, 2, 3), dtype=np.float32)
    with FeatureCache(tmp_path, SPEC) as cache:
        cache.append([key], row)
        with pytest.raises(ValueError, match="new, distinct"):
            cache.append([key], row)


def test_an_undecodable_image_is_reported_and_left_out(tmp_path: Path) -> None:
    reported: list[bytes] = []
    images = [IMAGES[0], Image(b"bad", ("a",)), IMAGES[1]]
    with FeatureCache(tmp_path, SPEC) as cache:
        features = compute_features(
            images,
            ["a", "b"],
            extractor(Backbone()),
            cache,
            on_undecodable=lambda image, error: reported.append(image.content),
        )
    assert reported == [b"bad"]
    assert features.labels.tolist() == [[0], [1]]


def test_a_data_set_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, SPEC) as cache, pytest.raises(TrainingSetUnusable, match="no readable image"):
        compute_features([Image(b"bad", ("a",))], ["a"], extractor(Backbone()), cache)


def test_an_image_of_an_unknown_class_is_refused(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, SPEC) as cache, pytest.raises(TrainingSetUnusable, match="'b'"):
        compute_features(IMAGES, ["a"], extractor(Backbone()), cache)


def test_several_labels_stand_beside_each_other(tmp_path: Path) -> None:
    images = [Image(b"1", ("b",)), Image(b"2", ("a", "b"))]
    with FeatureCache(tmp_path, SPEC) as cache:
        features = compute_features(
            images, ["a", "b"], extractor(Backbone()), cache, validation={hashlib.sha256(b"2").digest()}
        )
    assert features.labels.tolist() == [[1, -1], [0, 1]]
    assert features.validation is not None
    assert features.validation.tolist() == [False, True]
    assert sorted(features.distinct_images()) == [(["a", "b"], True), (["b"], False)]


def test_decoding_runs_ahead_of_the_network_within_bounds(tmp_path: Path) -> None:
    """The network waits for the decoding of pictures that come after its own, and then counts them."""
    ahead, decoded, furthest = threading.Event(), [0], [0]
    lock = threading.Lock()

    def counting(content: bytes) -> NDArray[np.uint8]:
        with lock:
            decoded[0] += 1
            if decoded[0] > 4:
                ahead.set()
        return decode(content)

    def waiting(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert ahead.wait(10), "nothing is decoded while the network runs"
        furthest[0] = max(furthest[0], taken[0] - computed.computed // 2)
        return computed(pixels)

    taken = [0]

    def counted() -> Iterator[Image]:
        for number in range(60):
            taken[0] += 1
            yield Image(f"one of many {number}".encode(), ("a",))

    computed = Backbone()
    with FeatureCache(tmp_path, SPEC) as cache:
        compute_features(counted(), ["a"], Extractor("test", 3, counting, waiting, 3), cache, batch_size=4)
    assert computed.computed == 120
    assert furthest[0] <= 5 * 4


def test_an_error_in_the_data_set_keeps_computed_features(tmp_path: Path) -> None:
    def breaking_off() -> Iterator[Image]:
        yield from IMAGES
        yield from IMAGES
        raise TrainingSetUnusable("cut off")

    with FeatureCache(tmp_path, SPEC) as cache, pytest.raises(TrainingSetUnusable, match="cut off"):
        compute_features(breaking_off(), ["a", "b"], extractor(Backbone()), cache, batch_size=4)
    with FeatureCache(tmp_path, SPEC) as cache:
        assert len(cache) >= 4


@pytest.mark.parametrize("name", ["rows.bin", "keys.bin"])
def test_a_full_disk_leaves_the_cache_unchanged(tmp_path: Path, name: str) -> None:
    keys = [hashlib.sha256(image.content).digest() for image in IMAGES]
    rows = np.arange(10 * 6, dtype=np.float32).reshape(10, 2, 3)
    with FeatureCache(tmp_path, SPEC) as cache:
        cache.append(keys[:4], rows[:4])
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Rows are smaller than keys here, so that a limit between the two hits the file that is meant.
        room = {"rows.bin": 4 * 24 + 10, "keys.bin": 10 * 24 + 10}[name]
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limit[1]))
        try:
            with pytest.raises(NotWritten, match="cannot be written into") as refused:
                cache.append(keys[4:], rows[4:])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert "\n" not in str(refused.value)
        assert [(tmp_path / each).stat().st_size for each in ("rows.bin", "keys.bin")] == [4 * 24, 4 * 32]
        cache.append(keys[4:], rows[4:])
        np.testing.assert_array_equal(cache.memory_map()[cache.rows_of(keys)], rows)
    with FeatureCache(tmp_path, SPEC) as cache:
        np.testing.assert_array_equal(cache.memory_map()[cache.rows_of(keys)], rows)
