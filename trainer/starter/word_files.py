"""Writes the starter's words: words.txt, words.npy, taggable.npy and labels.json in one folder.

Contract: the folder appears whole, by a rename. What the sentence model gives is kept beside it after every thousand
texts, so that an interruption costs seconds and another choice of words recomputes only what is new.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from wordfreq import iter_wordlist, zipf_frequency

from trainer.class_words import write_class_words
from trainer.feature_cache import CacheSpec, FeatureCache
from trainer.starter.label_words import label_words
from trainer.starter.sentence_model import SENTENCE_DIMENSION, SentenceModel, packaged_model_folder
from trainer.starter.vocabulary import taggable, vocabulary
from trainer.starter.word_vectors import definitions, mend, reduce
from trainer.starter.wordnet import WordNet

__all__ = ["make_words"]

_AT_ONCE = 1_000


def make_words(photos: Path, folder: Path, on_progress: Callable[[int, int], None]) -> None:
    """Makes the folder; ``on_progress`` hears how many texts are read, and of how many.

    Raises:
        StarterError: something that this needs is not installed, or a class is unknown to WordNet.
    """
    wordnet = WordNet.read()
    model = SentenceModel.load(packaged_model_folder())

    @cache
    def zipf(word: str) -> float:
        return float(zipf_frequency(word, "en"))

    labels = label_words(photos, wordnet, zipf)
    words = vocabulary(labels, iter_wordlist("en"), wordnet, zipf)
    further = definitions(words, model.piece_counts(words), wordnet)
    texts = (*words, *further.values())
    read = _read(texts, model, folder.with_name(f"{folder.name}-read"), on_progress)
    vectors = mend(read[: len(words)], list(further), read[len(words) :])

    written = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir(parents=True)
    (written / "words.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    np.save(written / "words.npy", reduce(vectors).vectors)
    np.save(written / "taggable.npy", taggable(words, labels, wordnet))
    write_class_words(written / "labels.json", labels)
    written.rename(folder)


def _read(
    texts: Sequence[str], model: SentenceModel, folder: Path, on_progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """The sentence model's vectors of some texts, (n, 384), kept in a cache."""
    spec = CacheSpec("all-MiniLM-L6-v2", ("plain",), SENTENCE_DIMENSION, "float32")
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    with FeatureCache(folder, spec) as kept:
        missing = list({key: text for key, text in zip(keys, texts, strict=True) if key not in kept}.items())
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            vectors = model.embed([text for _, text in part])
            kept.append([key for key, _ in part], vectors[:, np.newaxis])
            on_progress(len(texts) - len(missing) + start + len(part), len(texts))
        return np.array(kept.memory_map()[kept.rows_of(keys), 0], dtype=np.float32)
