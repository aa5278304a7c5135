"""Which features a data set's images have, kept on disk: what ``features`` makes and ``fit`` reads.

Contract: the file names images by their digests, with labels, sides and classes; the features stay in a cache, whose
place is told relative to the file. Digests, not rows: a cache that was cleaned and computed anew has another order. The
file appears whole, when every image is computed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from serving.durable_files import replacing
from trainer.errors import NotWritten, TrainingSetUnusable
from trainer.features.cache import read_keys, read_spec, rows_on_disk
from trainer.features.computing import FeatureSet

__all__ = ["read_feature_set", "write_feature_set"]


def write_feature_set(path: Path, features: FeatureSet, cache: Path) -> None:
    """Write a data set's digests, labels, sides and class names as an .npz file; ``cache`` is the folder of its cache.

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
    """Read what ``write_feature_set`` wrote; the features are memory-mapped.

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
            f"{path} is no feature set ({error}). Compute the features first: python -m trainer features"
        ) from error
    try:
        rows = np.array([row_of_key[key.tobytes()] for key in keys], dtype=np.int64)
    except KeyError:
        raise TrainingSetUnusable(
            f"{path} names features that the cache {cache} does not have (any more). "
            "Compute them again: python -m trainer features"
        ) from None
    return FeatureSet(rows_on_disk(cache, spec, len(row_of_key)), rows, labels, tuple(map(str, names)), validation)
