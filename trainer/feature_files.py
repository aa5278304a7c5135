"""Which rows of a feature cache a data set's images are, kept on disk: what ``features`` makes and ``fit`` reads.

Contract: the file names rows, labels and classes; the features stay in the cache that lies in the same folder, which
only ever grows, so the rows stay right. It appears whole, when every image is computed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from trainer.errors import TrainingSetUnusable
from trainer.feature_cache import CacheSpec
from trainer.features import FeatureSet

__all__ = ["read_feature_set", "write_feature_set"]


def write_feature_set(path: Path, features: FeatureSet) -> None:
    """Write a data set's rows, labels and class names as an .npz file in the folder of its cache."""
    written = path.with_name(path.name + ".tmp")
    with written.open("wb") as file:
        np.savez(file, rows=features.rows, labels=features.labels, names=np.array(features.names))
    written.replace(path)


def read_feature_set(path: Path) -> FeatureSet:
    """Read what ``write_feature_set`` wrote; the features are memory-mapped.

    Raises:
        TrainingSetUnusable: the file or the cache beside it is absent, or the cache has fewer rows than it names.
    """
    try:
        described = json.loads((path.parent / "spec.json").read_text())
        with np.load(path, allow_pickle=False) as arrays:
            rows, labels, names = arrays["rows"], arrays["labels"], arrays["names"]
        spec = CacheSpec(**{**described, "views": tuple(described["views"])})
        cached = np.memmap(path.parent / "rows.bin", dtype=spec.dtype, mode="r")
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise TrainingSetUnusable(
            f"{path} is no feature set ({error}). Compute the features first: python -m trainer features"
        ) from error
    count = len(cached) // int(np.prod(spec.row_shape))
    if rows.max(initial=-1) >= count:
        raise TrainingSetUnusable(f"{path} names features that the cache beside it does not have. Compute them again.")
    cache = cached[: count * int(np.prod(spec.row_shape))].reshape(count, *spec.row_shape)
    return FeatureSet(cache, rows, labels, tuple(map(str, names)))
