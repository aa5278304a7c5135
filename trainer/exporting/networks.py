"""A bundle's networks, measured: where they place pictures, how good that is, what they weigh and how long they take.

Contract: networks that are compared are measured on the same pictures by the same code. A time is of one picture alone,
on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from model.bundle.reading import WordTable
from model.networks.network import Network
from trainer.errors import BundleUnsearchable
from trainer.evaluation.images import vocabulary_of
from trainer.exporting.measured import Measured
from trainer.measures.evaluate import Evaluation, evaluate
from trainer.measures.truth import Truth

__all__ = ["MeasuredNetworks", "cosines", "measure_networks"]

_BATCH = 64
_TIMED = 16


@dataclass(frozen=True)
class MeasuredNetworks:
    """``bytes``: of both files. ``milliseconds``: the median of a picture alone. ``truth``: the pictures, placed."""

    feature_dimension: int
    bytes: int
    milliseconds: float
    truth: Truth
    evaluation: Evaluation


def measure_networks(
    network: Network, files: Iterable[Path], words: WordTable, measured: Measured, nearest_kinds: int
) -> MeasuredNetworks:
    """Run the network of some files over the pictures.

    Raises:
        BundleUnsearchable: it gives vectors that are not numbers.
        EvaluationImpossible: the pictures show fewer than two classes.
    """
    pixels = measured.pixels
    vectors = np.concatenate([network(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)])
    if not np.isfinite(vectors).all():
        raise BundleUnsearchable(
            "The head makes vectors of pictures that are not numbers, so no search would find them. Train it again, "
            "with a lower learning rate."
        )
    truth = Truth(vectors, measured.labels, measured.classes)
    return MeasuredNetworks(
        feature_dimension=network.feature_dimension,
        bytes=sum(file.stat().st_size for file in files),
        milliseconds=_milliseconds(network, pixels),
        truth=truth,
        evaluation=evaluate(truth, vocabulary_of(words), words.taggable, nearest_kinds),
    )


def cosines(one: MeasuredNetworks, other: MeasuredNetworks) -> NDArray[np.float32]:
    """How near the two vectors of each picture are: (n)."""
    near: NDArray[np.float32] = np.einsum("nd,nd->n", one.truth.vectors, other.truth.vectors)
    return near


def _milliseconds(network: Network, pixels: NDArray[np.uint8]) -> float:
    network(pixels[:1])  # the first of a size is slower
    times = []
    for place in range(min(_TIMED, len(pixels))):
        began = perf_counter()
        network(pixels[place : place + 1])
        times.append(perf_counter() - began)
    return 1000 * median(times)
