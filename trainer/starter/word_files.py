"""Writes the starter's words: words.txt, words.npy, taggable.npy and labels.json in one folder.

Contract: the folder appears whole, by a rename, in the place of an older one. What the sentence model gives is kept
beside it after every thousand texts, so that an interruption costs seconds and another choice of words recomputes only
what is new. The same photos' classes give the same files.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.features.cache import CacheSpec, FeatureCache
from trainer.labels.class_words import write_class_words
from trainer.starter.errors import PackagesMissing
from trainer.starter.label_words import Zipf, label_words
from trainer.starter.vocabulary import taggable, vocabulary
from trainer.starter.word_vectors import definitions, mend, reduce
from trainer.words.wordnet import WordNet

__all__ = ["Sentences", "Sources", "load_sources", "make_words"]

_AT_ONCE = 1_000


class Sentences(Protocol):
    """A sentence model: texts in, unit vectors out."""

    def piece_counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many word pieces each text has: (n,)."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The texts' vectors: (n, d), unit rows."""


@dataclass(frozen=True)
class Sources:
    """What words are made from. ``frequent``: English words, most frequent first; ``zipf``: how common a text is."""

    wordnet: WordNet
    frequent: Iterable[str]
    zipf: Zipf
    sentences: Sentences


def load_sources() -> Sources:
    """WordNet, wordfreq and the sentence model, as installed.

    Raises:
        StarterError: one of them is not installed.
    """
    try:
        # Not at the top: the product's environment is without them, and is to be told so in a sentence.
        from wordfreq import iter_wordlist, zipf_frequency

        from trainer.starter.sentence_model import SentenceModel, packaged_model_folder
    except ModuleNotFoundError as error:
        raise PackagesMissing(
            f"{str(error.name).partition('.')[0]} is not installed, so words cannot be made. "
            "Install what only making the starter needs: make starter-setup"
        ) from error

    @cache
    def zipf(word: str) -> float:
        return float(zipf_frequency(word, "en"))

    return Sources(WordNet.read(), iter_wordlist("en"), zipf, SentenceModel.load(packaged_model_folder()))


def make_words(
    photos: Path, folder: Path, on_progress: Callable[[int, int], None], sources: Sources | None = None
) -> None:
    """Makes the folder; ``on_progress`` hears how many texts are read, and of how many.

    ``sources``: other than the installed ones.

    Raises:
        StarterError: something that this needs is not installed, or a class is unknown to WordNet.
    """
    given = sources or load_sources()
    labels = label_words(photos, given.wordnet, given.zipf)
    words = vocabulary(labels, given.frequent, given.wordnet, given.zipf)
    further = definitions(words, given.sentences.piece_counts(words), given.wordnet)
    texts = (*words, *further.values())
    read = _read(texts, given.sentences, folder.with_name(f"{folder.name}-read"), on_progress)
    vectors = mend(read[: len(words)], list(further), read[len(words) :])

    written = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir(parents=True)
    (written / "words.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    np.save(written / "words.npy", reduce(vectors).vectors)
    np.save(written / "taggable.npy", taggable(words, labels, given.wordnet, given.zipf))
    write_class_words(written / "labels.json", labels)
    _put(written, folder)


def _put(written: Path, folder: Path) -> None:
    """Renames, setting an older folder aside until then, since a folder that holds files cannot be renamed onto."""
    older = folder.with_name(f".{folder.name}.older")
    shutil.rmtree(older, ignore_errors=True)
    if folder.exists():
        folder.rename(older)
    written.rename(folder)
    shutil.rmtree(older, ignore_errors=True)


def _read(
    texts: Sequence[str], sentences: Sentences, folder: Path, on_progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """The sentence model's vectors of some texts, (n, d), kept in a cache."""
    dimension = sentences.embed(texts[:1]).shape[1]
    spec = CacheSpec("all-MiniLM-L6-v2", ("plain",), dimension, "float32")
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    with FeatureCache(folder, spec) as kept:
        missing = list({key: text for key, text in zip(keys, texts, strict=True) if key not in kept}.items())
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            vectors = sentences.embed([text for _, text in part])
            kept.append([key for key, _ in part], vectors[:, np.newaxis])
            on_progress(len(texts) - len(missing) + start + len(part), len(texts))
        return np.array(kept.memory_map()[kept.rows_of(keys), 0], dtype=np.float32)
