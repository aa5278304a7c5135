"""The vocabulary of a bundle: words.txt and words.npy, converted from word vectors and read again.

Words come most frequent first, as all formats have them. Contract: the file is streamed; only the set of its words is
held in memory, never its vectors. The output is words.txt (UTF-8, one per line) and words.npy (float16, unit rows),
both under temporary names until complete. A word that occurs twice counts once, at its first place.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest import MAX_DIMENSION, MIN_DIMENSION
from model.bundle.reading import WordTable
from model.errors import storage_errors
from serving.durable_files import replacing, temporary_beside
from trainer.errors import WordDimensionUnusable, WordSpaceMissing, WordVectorsMalformed
from trainer.words.reading import read_entries

_REPORTED_EVERY = 1_000  # words


@dataclass(frozen=True)
class WordSpace:
    """A vocabulary: `words` (n), most frequent first, and `vectors` (n, dimension) float16, unit rows."""

    words: tuple[str, ...]
    vectors: NDArray[np.float16]


def convert_words(
    source: Path,
    folder: Path,
    limit: int | None = None,
    *,
    lowercase: bool = False,
    member: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
    check: Callable[[int], None] = lambda _: None,
) -> int:
    """Write `words.txt` and `words.npy` into a folder, and return the number of words.

    `limit` keeps the first, most frequent words. `lowercase`: of words that differ in case only, the first, most
    frequent one stays, in lower case. `member`: which file of a zip. `on_progress` gets how many words are done.
    `check` sees the dimension before anything is written, and may refuse it. A vector of zeros, which has no
    direction, and an empty word are left out.

    Raises:
        WordVectorsMalformed: the file is damaged, or in no format that is known; the message says where.
        StorageFull: the folder cannot be written.
    """
    raw = temporary_beside(folder / "words.npy")
    seen: set[str] = set()
    dimension = 0
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(folder / "words.txt") as text:
                with raw.open("wb") as vectors, text.open("w", encoding="utf-8", newline="\n") as words:
                    for entry, vector in read_entries(source, member):
                        word = entry.lower() if lowercase else entry
                        length = float(np.linalg.norm(vector.astype(np.float64)))
                        if not word or word in seen or not length:
                            continue
                        if not dimension:
                            dimension = len(vector)
                            check(dimension)
                        seen.add(word)
                        words.write(word + "\n")
                        vectors.write((vector / length).astype("<f2").tobytes())
                        if len(seen) % _REPORTED_EVERY == 0:
                            on_progress(len(seen))
                        if len(seen) == limit:
                            break
                if not seen:
                    raise WordVectorsMalformed(f"{source} holds no word vectors.")
                _to_npy(raw, folder / "words.npy", (len(seen), dimension))
        finally:
            raw.unlink(missing_ok=True)
    on_progress(len(seen))
    return len(seen)


def check_dimension(dimension: int, source: Path) -> None:
    """Check that a bundle can have word vectors of this dimension.

    Raises:
        WordDimensionUnusable: they have fewer or more numbers each.
    """
    if not MIN_DIMENSION <= dimension <= MAX_DIMENSION:
        raise WordDimensionUnusable(
            f"The word vectors in {source} have {dimension:,} numbers each, but a model's have {MIN_DIMENSION} to "
            f"{MAX_DIMENSION:,}. Use others: 300 is usual, and python -m trainer words fetch lists some."
        )


def _to_npy(raw: Path, path: Path, shape: tuple[int, int]) -> None:
    with replacing(path) as written, written.open("wb") as target, raw.open("rb") as source:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        shutil.copyfileobj(source, target)


def read_word_space(folder: Path) -> WordSpace:
    """Read `words.txt` and `words.npy`; the vectors are memory-mapped.

    Raises:
        WordSpaceMissing: the files do not exist.
        WordVectorsMalformed: the numbers of words and vectors differ.
    """
    # Not splitlines(): GloVe's words hold characters such as U+0085 that it would take for ends of lines.
    try:
        words = tuple((folder / "words.txt").read_bytes().decode().removesuffix("\n").split("\n"))
        vectors = np.load(folder / "words.npy", mmap_mode="r")
    except FileNotFoundError as error:
        raise WordSpaceMissing(f"{error.filename} does not exist. Make it: python -m trainer words convert") from error
    if len(words) != len(vectors):
        raise WordVectorsMalformed(
            f"{folder} has {len(words)} words and {len(vectors)} vectors. Make the word space again."
        )
    return WordSpace(words, vectors)


def read_trainable_words(folder: Path) -> WordSpace:
    """Read what `read_word_space` reads, to make a bundle with.

    Raises:
        WordSpaceMissing, WordVectorsMalformed: see there.
        WordDimensionUnusable: no bundle can have vectors of that dimension.
    """
    space = read_word_space(folder)
    check_dimension(space.vectors.shape[1], folder)
    return space


def read_word_table(folder: Path) -> WordTable:
    """Read words.txt, words.npy and taggable.npy; without the last, every word may be a tag.

    Raises:
        WordSpaceMissing: a file does not exist, or they do not match.
        WordDimensionUnusable: no bundle can have vectors of that dimension.
    """
    space = read_trainable_words(folder)
    file = folder / "taggable.npy"
    taggable = np.load(file) if file.exists() else np.ones(len(space.words), dtype=np.bool_)
    if len(taggable) != len(space.words):
        raise WordSpaceMissing(f"{file} is about {len(taggable)} words, and words.txt has {len(space.words)}.")
    return WordTable(space.words, space.vectors, taggable)
