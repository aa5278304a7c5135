"""A vocabulary of given words with vectors from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.bundle.reading import WordTable
from model.text.vocabulary import Vocabulary

__all__ = ["made_up"]


def made_up(words: Sequence[str]) -> Vocabulary:
    vectors = np.random.default_rng(0).normal(size=(len(words), 300))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Vocabulary(WordTable(tuple(words), vectors.astype(np.float16), np.ones(len(words), bool)))
