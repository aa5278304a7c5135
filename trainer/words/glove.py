"""GloVe's text format: a line a word, most frequent first, without a header (Pennington et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from trainer.words.text_lines import Entry, lines_of, parse_line

__all__ = ["read_glove"]


def read_glove(stream: IO[bytes], name: str) -> Iterator[Entry]:
    """Yields the entries of a stream; the first line tells the dimension.

    Raises:
        WordVectorsMalformed: a line, whose number is told, is not a word and as many numbers as the first has.
    """
    dimension = 0
    for number, line in enumerate(lines_of(stream), start=1):
        dimension = dimension or line.rstrip(b" \r\n").count(b" ")
        yield parse_line(line, dimension, f"{name}, line {number}")
