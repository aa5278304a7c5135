"""word2vec's binary format: a line "words dimension", then words, each followed by a space and its float32s.

The numbers are little-endian. word2vec itself ends each entry with a line feed, other writers do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np

from trainer.errors import WordVectorsMalformed
from trainer.words.text_lines import Entry

__all__ = ["read_word2vec_binary"]

_PIECE = 1 << 14  # a few entries: what is left of it is moved after each
_LONGEST = 1 << 12  # bytes of a word; without a space after them it is no word


def read_word2vec_binary(stream: IO[bytes], name: str) -> Iterator[Entry]:
    """Yields the entries of a stream.

    Raises:
        WordVectorsMalformed: a word, whose number and byte are told, is not UTF-8 or holds an end of a line, its
            numbers are not finite, or the stream ends before as many words as the header says.
    """
    header = stream.readline()
    count, dimension = (int(number) for number in header.split())
    buffer, offset = b"", len(header)  # what is read and not yet used, and where in the stream it begins
    for number in range(1, count + 1):
        place = f"{name}, word {number} at byte {offset:,}"
        while (space := buffer.find(b" ")) < 0 or len(buffer) < space + 1 + 4 * dimension:
            if space < 0 and len(buffer) > _LONGEST:
                raise WordVectorsMalformed(f"{place} has no end. Is the file in word2vec's binary format?")
            piece = stream.read(_PIECE)
            if not piece:
                raise WordVectorsMalformed(
                    f"{place}: the file ends there, and its header promises {count:,} words. It is cut off; "
                    "fetch it again."
                )
            buffer += piece
        end = space + 1 + 4 * dimension
        yield _word(buffer[:space].lstrip(b"\n"), place), _vector(buffer[space + 1 : end], place)
        buffer, offset = buffer[end:], offset + end


def _word(word: bytes, place: str) -> str:
    try:
        text = word.decode()
    except UnicodeDecodeError as error:
        raise WordVectorsMalformed(
            f"{place} is not UTF-8. The file is damaged, or in another encoding, which is not read."
        ) from error
    if "\n" in text:
        raise WordVectorsMalformed(f"{place} has an end of a line in it. Is the file in word2vec's binary format?")
    return text


def _vector(numbers: bytes, place: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.frombuffer(numbers, dtype="<f4")
    if not np.isfinite(vector).all():
        raise WordVectorsMalformed(f"{place} has a number that is not finite. The file is damaged; fetch it again.")
    return vector
