"""Make the starter's words: words.txt, words.npy, taggable.npy and labels.json in one folder.

Contract: the folder appears complete, by a rename, and replaces an older one. The sentence model's vectors are cached
next to it after every thousand texts, so that an interruption costs seconds and another choice of words computes only
the new ones. The same photos' classes give the same files.

Vectors are the sentence model's, corrected with WordNet and reduced to 300 dimensions. The sentence model knows rare
words only by their pieces ("magpie" is near "mag"). A noun of several pieces is therefore mixed with WordNet's
definition of its first meaning, which counts twice as much as the bare word. The mean of all words is subtracted before
the principal components, since it is common to all and distinguishes none.
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

from trainer.errors import PackagesMissing
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.labels.class_words import write_class_words
from trainer.labels.space import unit_rows
from trainer.starter.vocabulary import Zipf, label_words, taggable, vocabulary
from trainer.words.wordnet import WordNet

_AT_ONCE = 1_000
DIMENSION = 300
Vectors = NDArray[np.float32]


class Sentences(Protocol):
    """A sentence model: texts in, unit vectors out."""

    def piece_counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return how many word pieces each text has: (n,)."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the texts' vectors: (n, d), unit rows."""


@dataclass(frozen=True)
class Sources:
    """The inputs for making words. `frequent`: English words, most frequent first; `zipf`: how common a text is."""

    wordnet: WordNet
    frequent: Iterable[str]
    zipf: Zipf
    sentences: Sentences


def load_sources() -> Sources:
    """Load WordNet, wordfreq and the sentence model, as installed.

    Raises:
        StarterError: one of them is not installed.
    """
    try:
        # Not imported at the top: the product's environment lacks them, and the message should say so.
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
    """Make the folder; `on_progress` gets the number of texts read, and their total.

    `sources`: replaces the installed ones.

    Raises:
        StarterError: a required package is not installed, or a class is unknown to WordNet.
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
    """Rename `written` to `folder`; move an older folder aside first, as a rename cannot replace a full folder."""
    older = folder.with_name(f".{folder.name}.older")
    shutil.rmtree(older, ignore_errors=True)
    if folder.exists():
        folder.rename(older)
    written.rename(folder)
    shutil.rmtree(older, ignore_errors=True)


def _read(
    texts: Sequence[str], sentences: Sentences, folder: Path, on_progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """Return the sentence model's vectors of some texts, (n, d), kept in a cache."""
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


# Of the ten nearest tags of 441 mended nouns, the share that are of a common kind in WordNet (seven or more below the
# top) is 0.17 without definitions, and 0.25, 0.32, 0.37 and 0.39 with the weights 0.5, 1, 2 and 4; for nouns of one
# piece it is 0.26 to 0.28. Before: "tench" near "tennyson", "magpie" near "mag"; with 2: near "goldfish", near "crow".
# Few hubs either way: the skew of 10-occurrence is 1.22 and 1.26. 300 dimensions keep 98.0 % of the variance.
_DEFINITION_WEIGHT = 2.0


def definitions(words: Sequence[str], pieces: NDArray[np.int64], wordnet: WordNet) -> dict[int, str]:
    """Return the definitions, by row, of nouns that the model splits into more pieces than words."""
    texts: dict[int, str] = {}
    for row, (word, count) in enumerate(zip(words, pieces, strict=True)):
        bases = wordnet.base_forms(word) if count > len(word.split()) else ()
        if bases:
            senses = wordnet.senses(bases[0])
            if not senses[0].is_instance:
                texts[row] = f"{bases[0]}: {senses[0].definition}"
    return texts


def mend(vectors: Vectors, rows: Sequence[int], read: Vectors) -> Vectors:
    """Return vectors (n, d) in which some rows are mixed with the vectors of their definitions, (len(rows), d)."""
    mended = vectors.copy()
    mended[list(rows)] = unit_rows(unit_rows(vectors[list(rows)]) + _DEFINITION_WEIGHT * unit_rows(read))
    return mended


@dataclass(frozen=True)
class Reduced:
    """float16 (n, 300) unit rows, and the share of the variance that they kept."""

    vectors: NDArray[np.float16]
    kept: float


def reduce(vectors: Vectors, dimension: int = DIMENSION) -> Reduced:
    """Return the first principal components of the centred vectors."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    # The sign of an axis is arbitrary; its greatest component is made positive, so that results are reproducible.
    axes = axes[:, ::-1][:, :dimension]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    kept = float(variance[::-1][:dimension].sum() / variance.sum())
    return Reduced(unit_rows(centred @ axes).astype(np.float16), kept)
