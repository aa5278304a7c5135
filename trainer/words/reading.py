"""Recognises the format of a file of word vectors by its content, and reads it as a stream.

A first line of two whole numbers is the header of word2vec's formats and of fastText's .vec; what follows the first
word of it, numbers in text or bytes that no text has, tells which. Everything else is GloVe's text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from trainer.errors import WordVectorsMalformed
from trainer.words.glove import read_glove
from trainer.words.opening import open_word_file
from trainer.words.text_lines import Entry
from trainer.words.word2vec_binary import read_word2vec_binary
from trainer.words.word2vec_text import read_word2vec_text

__all__ = ["read_entries"]

_HEAD = 1 << 16
_WIDEST = 10_000  # numbers of a vector; a header of more is damage, and would be waited for in memory
_HEADER = re.compile(rb"(\d{1,12}) (\d{1,12})[ \r]*\n")
_FASTTEXT_MODEL = b"\xba\x16\x4f\x2f"
_NOT_TEXT = re.compile(rb"[^\t\n\r\x20-\x7e\x80-\xff]")


def read_entries(source: Path, member: str | None = None) -> Iterator[Entry]:
    """Yields the words of a file and their vectors, as they stand there; ``member`` is one of a zip.

    Raises:
        WordVectorsMalformed: the file is damaged or in no format that is known; line, or word and byte, are told.
    """
    name = f"{source}" if member is None else f"{source}, {member}"
    with open_word_file(source, member) as stream:
        head = stream.read(_HEAD)
    with open_word_file(source, member) as stream:
        yield from _reader(head, name)(stream, name)


def _reader(head: bytes, name: str) -> Callable[[IO[bytes], str], Iterator[Entry]]:
    if head.startswith(_FASTTEXT_MODEL):
        raise WordVectorsMalformed(f"{name} is fastText's own binary model, which is not read. Give its .vec file.")
    header = _HEADER.match(head)
    if not header:
        return read_glove
    dimension = int(header[2])
    if not 2 <= dimension <= _WIDEST:
        raise WordVectorsMalformed(
            f"{name}, line 1 promises vectors of {dimension:,} numbers, and 2 to {_WIDEST:,} are read. Is it a file of "
            "word vectors?"
        )
    numbers = head[header.end() :].partition(b" ")[2][: 4 * dimension]
    return read_word2vec_text if _is_text(numbers) else read_word2vec_binary


def _is_text(content: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return not _NOT_TEXT.search(content)
