"""word2vec's text format, and fastText's .vec: a line "words dimension", then a line a word, most frequent first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from trainer.errors import WordVectorsMalformed
from trainer.words.text_lines import Entry, lines_of, parse_line

__all__ = ["read_word2vec_text"]


def read_word2vec_text(stream: IO[bytes], name: str) -> Iterator[Entry]:
    """Yields the entries of a stream.

    Raises:
        WordVectorsMalformed: a line, whose number is told, is not a word and as many numbers as the header says, or
            there are fewer lines than it says.
    """
    lines = lines_of(stream)
    count, dimension = (int(number) for number in next(lines).split())
    number = 1
    for number, line in enumerate(lines, start=2):
        yield parse_line(line, dimension, f"{name}, line {number}")
    if number - 1 < count:
        raise WordVectorsMalformed(
            f"{name} ends after line {number}, and its header promises {count:,} words. It is cut off; fetch it again."
        )
