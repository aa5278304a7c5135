"""Writes words as a caption head needs them: each vector turned by the matrix that was trained with the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder_service.bundle.manifest_json import TAGGABLE, VECTORS, WORDS
from embedder_service.bundle.reading import WordTable
from embedder_service.durable_files import storage_errors
from trainer.labels.space import unit_rows

__all__ = ["write_turned_words"]


def write_turned_words(folder: Path, words: WordTable, turn: NDArray[np.float32], taggable: NDArray[np.bool_]) -> None:
    """Write words.txt, words.npy and last taggable.npy, which says which words may be tags: (words,).

    Raises:
        StorageFull: the folder cannot be written.
    """
    turned = unit_rows(unit_rows(words.vectors) @ turn).astype(np.float16)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WORDS).write_bytes("".join(f"{word}\n" for word in words.words).encode())
        np.save(folder / VECTORS, turned)
        np.save(folder / TAGGABLE, taggable)
