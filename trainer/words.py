"""Word vectors in GloVe's text format → the vocabulary of a bundle.

A line is a word, a space, and its numbers, separated by spaces; words come most frequent first, as GloVe writes them
(Pennington et al. 2014). A few words of the 840B file hold spaces, so the numbers are what is last on a line.
Contract: the file is streamed, never held in memory; what is written is words.txt (UTF-8, one a line) and words.npy
(float16, unit rows), both under temporary names until complete. A word that comes twice counts once, where it came
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import WordSpaceMissing, WordVectorsMalformed

__all__ = ["WordSpace", "convert_glove", "read_word_space"]


@dataclass(frozen=True)
class WordSpace:
    """A vocabulary: ``words`` (n), most frequent first, and ``vectors`` (n, dimension) float16, unit rows."""

    words: tuple[str, ...]
    vectors: NDArray[np.float16]


def convert_glove(source: Path, folder: Path, limit: int | None = None) -> int:
    """Write ``words.txt`` and ``words.npy`` into a folder; the number of words.

    ``limit`` keeps the first, most frequent words. A vector of zeros, which has no direction, is left out.

    Raises:
        WordVectorsMalformed: a line is not a word and as many numbers as the first line has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    raw, text = folder / "words.raw.tmp", folder / "words.txt.tmp"
    seen: set[str] = set()
    dimension = 0
    with raw.open("wb") as vectors, text.open("w", encoding="utf-8", newline="\n") as words:
        for word, vector in _entries(source):
            length = float(np.linalg.norm(vector))
            if word in seen or not length:
                continue
            dimension = len(vector)
            seen.add(word)
            words.write(word + "\n")
            vectors.write((vector / length).astype(np.float16).tobytes())
            if len(seen) == limit:
                break
    if not seen:
        raise WordVectorsMalformed(f"{source} holds no word vectors.")
    _to_npy(raw, folder / "words.npy", (len(seen), dimension))
    text.replace(folder / "words.txt")
    return len(seen)


def _entries(source: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    with source.open(encoding="utf-8", newline="\n") as lines:
        first = next(lines, "")
        dimension = len(first.split(" ")) - 1
        lines.seek(0)
        for number, line in enumerate(lines, start=1):
            word, *numbers = line.rstrip("\n").rsplit(" ", dimension)
            try:
                vector = np.array(numbers, dtype=np.float32)
            except ValueError as error:
                raise WordVectorsMalformed(
                    f"{source}, line {number}: {error}. Is it in GloVe's text format?"
                ) from error
            if dimension < 2 or len(vector) != dimension or not np.all(np.isfinite(vector)):
                raise WordVectorsMalformed(
                    f"{source}, line {number} is not a word and {dimension} numbers. Is it in GloVe's text format?"
                )
            yield word, vector


def _to_npy(raw: Path, path: Path, shape: tuple[int, int]) -> None:
    written = path.with_name(path.name + ".tmp")
    with written.open("wb") as target, raw.open("rb") as source:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        while block := source.read(1 << 20):
            target.write(block)
    raw.unlink()
    written.replace(path)


def read_word_space(folder: Path) -> WordSpace:
    """Read ``words.txt`` and ``words.npy``; the vectors are memory-mapped.

    Raises:
        WordSpaceMissing: the files are not there.
        WordVectorsMalformed: there are not as many words as vectors.
    """
    # Not splitlines(): GloVe's words hold characters such as U+0085 that it would take for ends of lines.
    try:
        words = tuple((folder / "words.txt").read_bytes().decode().removesuffix("\n").split("\n"))
        vectors = np.load(folder / "words.npy", mmap_mode="r")
    except FileNotFoundError as error:
        raise WordSpaceMissing(f"{error.filename} is not there. Make a word space: python -m trainer words") from error
    if len(words) != len(vectors):
        raise WordVectorsMalformed(
            f"{folder} has {len(words)} words and {len(vectors)} vectors. Make the word space again."
        )
    return WordSpace(words, vectors)
