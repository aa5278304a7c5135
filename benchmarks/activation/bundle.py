"""Writes a bundle with a given number of synthetic words and another bundle's networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.bundle.manifest import KERAS_HEAD
from model.bundle.reading import SELF_TEST, WordTable, peek
from model.bundle.writing import BundleContent, write_bundle

_CHUNK = 10_000
_CENTRES = 2_000
_SPREAD = 1.2


def write_large_bundle(source: Path, words: int, target: Path, seed: int = 0) -> str:
    """Write the bundle and return its id.

    The words are clustered around two thousand centres, as real words are around topics; all may be tags. The first is
    `dog`, which can be searched for before and after the switch.
    """
    manifest = peek(source)
    random = np.random.default_rng(seed)
    centres = random.normal(size=(_CENTRES, manifest.dimension)).astype(np.float32)
    vectors = np.empty((words, manifest.dimension), dtype=np.float16)
    for start in range(0, words, _CHUNK):
        count = min(_CHUNK, words - start)
        rows = centres[random.integers(0, _CENTRES, count)]
        rows = rows + _SPREAD * random.normal(size=rows.shape).astype(np.float32)
        vectors[start : start + count] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    with np.load(source / SELF_TEST, allow_pickle=False) as test:
        pixels = test["pixels"]
    table = WordTable(
        ("dog", *(f"word{number}" for number in range(1, words))), vectors, np.ones(words, dtype=np.bool_)
    )
    content = BundleContent(source / manifest.backbone, source / KERAS_HEAD, table, pixels)
    return write_bundle("large", content, replace(manifest, metrics={}), target).id
