"""The features of a data set's images, and the file of them that `features` writes and `fit` reads.

Contract: the file names images by their digests, with labels, sides and classes. The features stay in a cache, whose
path is stored relative to the file. The file has digests, not rows, since a cache that was cleaned and computed again
has another order. The file appears complete, once every image is computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.durable_files import replacing
from trainer.errors import NotWritten, TrainingSetUnusable
from trainer.features.cache import read_keys, read_spec, rows_on_disk


@dataclass(frozen=True)
class FeatureSet:
    """Labelled images as features: rows of a cache, nothing copied until asked for.

    `cache`: (rows, views, dimension), possibly memory-mapped. `rows`: (images,) int64. `labels`: (images, most)
    int64, positions in `names`, and -1 after the last label of an image that has fewer than the most.
    `validation`: (images,), which images are not for training; None if undefined.
    """

    cache: NDArray[np.floating[Any]]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    validation: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def views(self) -> int:
        """Views of each image."""
        return int(self.cache.shape[1])

    @property
    def dimension(self) -> int:
        """Numbers in a feature vector."""
        return int(self.cache.shape[2])

    def distinct_images(self) -> Iterator[tuple[list[str], bool]]:
        """Yield the class names of each image, copies once, and whether it is for validation."""
        for place in np.unique(self.rows, return_index=True)[1]:
            named = [self.names[label] for label in self.labels[place] if label >= 0]
            yield named, self.validation is not None and bool(self.validation[place])

    def take(self, images: NDArray[np.int64], views: NDArray[np.int64] | int = 0) -> NDArray[np.float32]:
        """Return the features of some images, each in one view: (n, dimension) float32."""
        return np.asarray(self.cache[self.rows[images], views], dtype=np.float32)


def write_feature_set(path: Path, features: FeatureSet, cache: Path) -> None:
    """Write a data set's digests, labels, sides and class names as an .npz file; `cache` is the folder of its cache.

    Raises:
        NotWritten: the disk is full or refuses.
    """
    arrays: dict[str, Any] = {
        "cache": np.array(os.path.relpath(cache, path.parent)),
        "keys": read_keys(cache, read_spec(cache))[features.rows],
        "labels": features.labels,
        "names": np.array(features.names),
    }
    if features.validation is not None:
        arrays["validation"] = features.validation
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as written, written.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise NotWritten(
            f"The feature set {path} cannot be written ({error.strerror}). The features are kept: make room, and give "
            "the same command again."
        ) from error


def read_feature_set(path: Path) -> FeatureSet:
    """Read what `write_feature_set` wrote; the features are memory-mapped.

    Raises:
        TrainingSetUnusable: the file or its cache is absent, or the cache lacks features that it names.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            cache = path.parent / str(arrays["cache"])
            keys, labels, names = arrays["keys"], arrays["labels"], arrays["names"]
            validation = arrays.get("validation")
        spec = read_spec(cache)
        row_of_key = {key.tobytes(): row for row, key in enumerate(read_keys(cache, spec))}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise TrainingSetUnusable(
            f"{path} is not a feature set ({error}). Compute the features first: python -m trainer features"
        ) from error
    try:
        rows = np.array([row_of_key[key.tobytes()] for key in keys], dtype=np.int64)
    except KeyError:
        raise TrainingSetUnusable(
            f"{path} names features that the cache {cache} does not have (any longer). "
            "Compute them again: python -m trainer features"
        ) from None
    return FeatureSet(rows_on_disk(cache, spec, len(row_of_key)), rows, labels, tuple(map(str, names)), validation)
