"""Writes words as a caption head needs them: turned by its matrix, and moved where pictures taught them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest_json import TAGGABLE, VECTORS, WORDS
from model.bundle.reading import WordTable
from model.errors import storage_errors
from trainer.caption_head.network import TrainedHead
from trainer.labels.space import unit_rows

__all__ = ["turned_vectors", "write_turned_words"]


def turned_vectors(words: WordTable, trained: TrainedHead) -> NDArray[np.float32]:
    """Return the vectors of all words where the head's pictures meet them, unit rows."""
    turned: NDArray[np.float32] = unit_rows(words.vectors) @ trained.turn
    row_of = {word: row for row, word in enumerate(words.words)}
    turned[[row_of[word] for word in trained.moved_words]] += trained.moves
    return unit_rows(turned)


def write_turned_words(folder: Path, words: WordTable, trained: TrainedHead, taggable: NDArray[np.bool_]) -> None:
    """Write words.txt, words.npy and last taggable.npy, which says which words may be tags: (words,).

    Raises:
        StorageFull: the folder cannot be written.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WORDS).write_bytes("".join(f"{word}\n" for word in words.words).encode())
        np.save(folder / VECTORS, turned_vectors(words, trained).astype(np.float16))
        np.save(folder / TAGGABLE, taggable)
