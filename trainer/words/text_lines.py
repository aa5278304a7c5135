"""A line of word vectors in text: a word, a space, and its numbers between spaces.

Contract: a line is split at spaces only, since words hold characters that count as white space or as ends of lines
elsewhere. A few words of GloVe's 840B file hold spaces, so the numbers are what is last on a line; what stands before
them and ends in a number itself is a line of too many numbers, not such a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO

import numpy as np
from numpy.typing import NDArray

from trainer.errors import WordVectorsMalformed

__all__ = ["Entry", "lines_of", "parse_line"]

Entry = tuple[str, NDArray[np.float32]]
"""A word and its vector, (dimension) float32, every number finite."""

_LONGEST = 1 << 20  # bytes of a line; a file that is something else may have no end of line at all


def lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yields the lines of a stream; one longer than any line of word vectors comes in parts."""
    return iter(partial(stream.readline, _LONGEST), b"")


def parse_line(line: bytes, dimension: int, place: str) -> Entry:
    """Reads one line; ``place`` says where it is, for errors.

    Raises:
        WordVectorsMalformed: it is not a word in UTF-8 and as many finite numbers as the dimension.
    """
    word, *numbers = line.rstrip(b" \r\n").rsplit(b" ", dimension)
    try:
        with np.errstate(over="ignore"):  # what is greater than a float32 becomes infinite, and is refused as such
            vector = np.array(numbers, dtype=np.float32)
        text = word.decode()
    except UnicodeDecodeError as error:
        raise WordVectorsMalformed(
            f"{place} has a word that is not UTF-8: byte {error.start + 1} of the line is 0x{word[error.start]:02x}. "
            "Convert the file to UTF-8, or fetch it again if it should be."
        ) from error
    except ValueError as error:
        raise WordVectorsMalformed(f"{place} is not a word and {dimension} numbers: {error}.") from error
    if dimension < 2 or len(vector) != dimension or (b" " in word and _is_number(word.rpartition(b" ")[2])):
        wanted = f"{dimension} numbers, as the file began" if dimension > 1 else "its numbers"
        raise WordVectorsMalformed(
            f"{place} is not a word and {wanted}. Is the file whole, and in the text format of GloVe or word2vec?"
        )
    if not np.isfinite(vector).all():
        raise WordVectorsMalformed(
            f"{place} has a number that is not finite. Remove the line, or fetch the file again."
        )
    return text, vector


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
