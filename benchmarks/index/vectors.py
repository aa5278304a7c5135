"""The vectors to search: real word vectors, plus mixtures of neighbouring words.

The recipe:
1. Some words, drawn with the seed, are left out of the index. The others come first, in an order drawn with the seed.
2. The remaining rows are mixtures: a word and two of its ten nearest with uniform Dirichlet weights, plus the
   difference of two random words, 0.8 times as long as the mixture. With 100,000 mixtures and the 30,000 words of the
   starter, a mixture's neighbourhood resembles a word's: cosine of the nearest 0.73 (words: 0.69), of the tenth 0.51
   (0.44), intrinsic dimension 18 (20). With a difference of 0.2 they form clusters that every index finds easily
   (dimension 7).
3. Queries are not rows: half are the words left out, half are further mixtures. Half of each are for tuning, half for
   measuring.

The same recipe gives the same numbers, and the rows of a smaller size are the first rows of a larger one. The result is
kept in a folder named after the recipe, which exists completely or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.truth import Questions, nearest_of_all

K = 10
_VERSION = 1  # incremented when the same recipe would give different numbers
_NEAR = 10
_NOISE = 0.8
_CHUNK = 10_000
_ROWS = "rows.npy"
_HALVES = ("tuning", "measuring")

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """The recipe of a corpus: `count` rows from the words in a file, float16 (n, dimension), and `queries` per half."""

    words: Path
    count: int
    queries: int = 500
    seed: int = 1

    @property
    def key(self) -> str:
        """A key of the corpus; a different recipe or different words have a different key."""
        fields = {**asdict(self), "words": hashlib.sha256(self.words.read_bytes()).hexdigest(), "version": _VERSION}
        return f"{self.count}-{hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]}"


@dataclass(frozen=True, eq=False)
class Corpus:
    """Rows, float32 (n, dimension) of length 1, memory-mapped from `rows_file`, and the queries of both halves."""

    folder: Path
    rows_file: Path
    rows: Vectors
    tuning: Questions
    measuring: Questions


def make(recipe: Recipe, cache: Path) -> Corpus:
    """Return the corpus of a recipe, from an earlier run if possible, with the true neighbours of every query."""
    folder = cache / recipe.key
    if not folder.exists():
        partial = cache / f"{recipe.key}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(recipe, partial)
        partial.rename(folder)
    rows = _mapped(folder / _ROWS)
    tuning, measuring = (Questions.load(folder / half) for half in _HALVES)
    return Corpus(folder, folder / _ROWS, rows, tuning, measuring)


def _write(recipe: Recipe, folder: Path) -> None:
    words = _unit(np.load(recipe.words).astype(np.float32))
    rng = np.random.default_rng(recipe.seed)
    order = rng.permutation(len(words))
    left_out, indexed = words[order[: recipe.queries]], words[order[recipe.queries :]]
    near = _near(indexed, folder.parent)
    rows = np.lib.format.open_memmap(
        folder / _ROWS, mode="w+", dtype=np.float32, shape=(recipe.count, words.shape[1])
    )  # fmt: skip
    real = min(recipe.count, len(indexed))
    rows[:real] = indexed[:real]
    for start in range(real, recipe.count, _CHUNK):
        mixed = _mixtures(indexed, near, np.random.default_rng([recipe.seed, start]))
        rows[start : start + _CHUNK] = mixed[: recipe.count - start]
    rows.flush()
    mixed = _mixtures(indexed, near, rng)
    middle = recipe.queries // 2
    questions = (
        np.concatenate([left_out[:middle], mixed[: recipe.queries - middle]]),
        np.concatenate([left_out[middle:], mixed[recipe.queries : recipe.queries + middle]]),
    )
    for half, queries in zip(_HALVES, questions, strict=True):
        Questions(queries, *nearest_of_all(queries, _mapped(folder / _ROWS), K)).save(folder / half)


def _near(words: Vectors, cache: Path) -> NDArray[np.intp]:
    """Return the positions (n, 10) of each word's nearest words, without itself; cached, as all sizes share them."""
    file = cache / f"near-{hashlib.sha256(words.tobytes()).hexdigest()[:12]}.npy"
    if not file.exists():
        partial = file.with_suffix(".partial.npy")
        np.save(partial, nearest_of_all(words, words, _NEAR + 1)[0][:, 1:])
        partial.rename(file)
    near: NDArray[np.intp] = np.load(file)
    return near


def _mixtures(words: Vectors, near: NDArray[np.intp], rng: np.random.Generator) -> Vectors:
    """Return a chunk of mixtures (10,000, dimension), always full, so that fewer rows are a prefix of more."""
    first = rng.integers(len(words), size=_CHUNK)
    parts = np.stack([first, *(near[first, rng.integers(near.shape[1], size=_CHUNK)] for _ in range(2))], axis=1)
    weights = rng.dirichlet(np.ones(3), size=_CHUNK).astype(np.float32)
    mixed = _unit(np.einsum("np,npd->nd", weights, words[parts]))
    one, other = rng.integers(len(words), size=(2, _CHUNK))
    difference = words[one] - words[other]
    length = np.linalg.norm(difference, axis=1, keepdims=True)
    return _unit(mixed + _NOISE * difference / np.maximum(length, np.finfo(np.float32).tiny))


def _unit(vectors: Vectors) -> Vectors:
    shortened: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return shortened


def _mapped(file: Path) -> Vectors:
    # A plain array, because slicing a `memmap` costs microseconds.
    rows: Vectors = np.load(file, mmap_mode="r").view(np.ndarray)
    return rows
