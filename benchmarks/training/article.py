"""The article's way: every epoch decodes every picture and runs it through the backbone and the head.

It is "Building an image search service from scratch", which the README mentions. In its favour, one batch is decoded
while the network processes another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.data_sets.reading import LabelledFile
from trainer.features.extractors import extractor_of
from trainer.keras_files import load_network

_BATCH = 32  # the default of Keras, which the article uses


def seconds_per_epoch(
    backbone: Path, files: Sequence[LabelledFile], targets: NDArray[np.float32], hidden: int
) -> float:
    """Return the seconds of one epoch of `fit`, without building the network and its graph.

    `backbone`: a .keras file; it is not trained. `targets`: (images, dimension), each image's target vector.
    """
    network = load_network(backbone)
    network.trainable = False
    features = network(network.input)
    space = keras.layers.Dense(targets.shape[1])(keras.layers.Dense(hidden, activation="relu")(features))
    whole = keras.Model(network.input, space)
    whole.compile("adam", loss=keras.losses.CosineSimilarity())
    pictures = _Pictures(files, targets, extractor_of(backbone).decode)
    last = slice(-(_BATCH + len(files) % _BATCH), None)
    whole.fit(_Pictures(files[last], targets[last], pictures.decode), verbose=0)  # graphs for both sizes of a batch
    began = perf_counter()
    whole.fit(pictures, epochs=1, verbose=0)
    return perf_counter() - began


class _Pictures(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of decoded pictures and their target vectors."""

    def __init__(self, files: Sequence[LabelledFile], targets: NDArray[np.float32], decode: Any) -> None:
        super().__init__(workers=2)
        self._files, self._targets, self.decode = files, targets, decode

    def __len__(self) -> int:
        return -(-len(self._files) // _BATCH)

    def __getitem__(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        batch = slice(number * _BATCH, (number + 1) * _BATCH)
        return np.stack([self.decode(file.content) for file in self._files[batch]]), self._targets[batch]
