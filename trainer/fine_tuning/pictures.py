"""The labelled pictures that a network is fine-tuned on, decoded as the embedder decodes.

Contract: files are held as they are, a few kilobytes each, and decoded again for every batch, by threads and one batch
ahead of the network. Order and mirroring of an epoch follow from the seed and the epoch alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data_sets.reading import LabelledFile
from trainer.data_sets.survey import Survey
from trainer.errors import TrainingSetUnusable
from trainer.features.computing import Extractor, Undecodable
from trainer.labels.space import padded_labels

Batch = tuple[NDArray[np.uint8], NDArray[np.int32]]
"""Pixels (n, s, s, 3), and labels (n, most), padded with -1."""


@dataclass(frozen=True)
class Pictures:
    """Files, labels (images, most) int32 padded with -1, and which images are for validation (images,)."""

    files: Sequence[bytes]
    labels: NDArray[np.int32]
    validation: NDArray[np.bool_]
    decode: Callable[[bytes], NDArray[np.uint8]]

    def training(self, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield an epoch's batches in a new order, half of the pictures mirrored."""
        random = np.random.default_rng((seed, epoch))
        order = random.permutation(np.flatnonzero(~self.validation))
        yield from self._batches(order, random.random(len(order)) < 0.5, batch_size)

    def held_out(self, batch_size: int) -> Iterator[Batch]:
        """Yield the batches for validation, as the embedder sees them."""
        order = np.flatnonzero(self.validation)
        yield from self._batches(order, np.zeros(len(order), np.bool_), batch_size)

    @property
    def digest(self) -> str:
        """A digest that identifies this set of pictures."""
        whole = hashlib.sha256(self.labels.tobytes() + self.validation.tobytes())
        for file in self.files:
            whole.update(hashlib.sha256(file).digest())
        return f"sha256:{whole.hexdigest()}"

    def _batches(self, order: NDArray[np.int64], mirrored: NDArray[np.bool_], size: int) -> Iterator[Batch]:
        def submit(start: int) -> list[Future[NDArray[np.uint8]]]:
            places = range(start, min(start + size, len(order)))
            return [decoders.submit(self._decoded, int(order[place]), bool(mirrored[place])) for place in places]

        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode") as decoders:
            coming = submit(0)
            for start in range(0, len(order), size):
                now, coming = coming, submit(start + size)
                yield np.stack([each.result() for each in now]), self.labels[order[start : start + size]]

    def _decoded(self, image: int, mirrored: bool) -> NDArray[np.uint8]:
        pixels = self.decode(self.files[image])
        return pixels[:, ::-1] if mirrored else pixels


def read_pictures(
    images: Iterable[LabelledFile], known: Survey, extractor: Extractor, on_left_out: Callable[[str], None]
) -> Pictures:
    """Read a surveyed data set; `on_left_out` gets each image left out: its key, a tab, why.

    Raises:
        TrainingSetUnusable: no image is left for training or for validation.
    """
    number_of = {name: number for number, name in enumerate(known.names)}
    kept: list[LabelledFile] = []
    for image in images:
        if not image.labels:
            on_left_out(f"{image.key}\tIts annotation has no object, so it has no label.")
            continue
        try:
            extractor.decode(image.content)
        except Undecodable as error:
            on_left_out(f"{image.key}\t{error}")
            continue
        kept.append(image)
    validation = np.array([image.digest in known.validation for image in kept], dtype=np.bool_)
    if not validation.any() or validation.all():
        raise TrainingSetUnusable(
            "There are no images for training, or none for validation, and fine-tuning is kept only where it makes "
            "those for validation better. Give some: --validation, or --validation-share 0.1"
        )
    labels = padded_labels([[number_of[label] for label in image.labels] for image in kept])
    return Pictures([image.content for image in kept], labels.astype(np.int32), validation, extractor.decode)
