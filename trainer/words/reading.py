"""Read a file of word vectors as a stream, and recognise its packing and format.

Contract: packing (plain, gzip, one member of a zip) is recognised by the first bytes, not by the name; nothing is
unpacked to disk or held in memory. Damage raises WordVectorsMalformed whenever it shows, even halfway through.

Formats. A first line of two whole numbers is the header of word2vec's formats and of fastText's .vec; the bytes after
the first word, numbers in text or bytes that no text has, distinguish the two. Everything else is GloVe's text.

    GloVe            one line per word, most frequent first, without a header (Pennington et al. 2014)
    word2vec text    a line "words dimension", then one line per word, most frequent first; fastText's .vec too
    word2vec binary  a line "words dimension", then words, each followed by a space and its little-endian float32s;
                     word2vec itself ends each entry with a line feed, other writers do not

A line of text is split at spaces only, since words contain other white space and line separators. A few words of
GloVe's 840B file contain spaces, so the last fields of a line are the numbers; if the text before them ends in a number
itself, the line has too many numbers.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from trainer.errors import WordVectorsMalformed

Entry = tuple[str, NDArray[np.float32]]
"""A word and its vector, (dimension) float32, every number finite."""
_LONGEST_LINE = 1 << 20  # bytes of a line; a file that is something else may have no end of line at all
_HEAD = 1 << 16
_WIDEST = 10_000  # numbers of a vector; a header of more is damage, and would be waited for in memory
_HEADER = re.compile(rb"(\d{1,12}) (\d{1,12})[ \r]*\n")
_FASTTEXT_MODEL = b"\xba\x16\x4f\x2f"
_NOT_TEXT = re.compile(rb"[^\t\n\r\x20-\x7e\x80-\xff]")
_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# What zipfile raises for a password, and for an unknown compression.
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError, RuntimeError)
_PIECE = 1 << 14  # a few entries: the rest of the buffer is moved after each
_LONGEST_WORD = 1 << 12  # bytes of a word; without a space after them it is no word


def lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream; one longer than any line of word vectors comes in parts."""
    return iter(partial(stream.readline, _LONGEST_LINE), b"")


def parse_line(line: bytes, dimension: int, place: str) -> Entry:
    """Read one line; `place` says where it is, for errors.

    Raises:
        WordVectorsMalformed: it is not a word in UTF-8 and as many finite numbers as the dimension.
    """
    word, *numbers = line.rstrip(b" \r\n").rsplit(b" ", dimension)
    try:
        with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, and are refused as such
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


def read_entries(source: Path, member: str | None = None) -> Iterator[Entry]:
    """Yield the words of a file and their vectors, as they stand there; `member` is one of a zip.

    Raises:
        WordVectorsMalformed: the file is damaged or in no format that is known; the message says where.
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
            f"{name}, line 1 promises vectors of {dimension:,} numbers, but only 2 to {_WIDEST:,} work. Is it a "
            "file of word vectors?"
        )
    numbers = head[header.end() :].partition(b" ")[2][: 4 * dimension]
    return read_word2vec_text if _is_text(numbers) else read_word2vec_binary


def _is_text(content: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return not _NOT_TEXT.search(content)


@contextmanager
def open_word_file(path: Path, member: str | None = None) -> Iterator[IO[bytes]]:
    """Open a file from its start; `member` is the name within a zip, needed if there are several.

    Raises:
        WordVectorsMalformed: it is damaged, or a zip without that member or with several to choose from.
    """
    with path.open("rb") as file:
        first = file.read(4)
    if member is not None and first not in _ZIP:
        raise WordVectorsMalformed(f"{path} is not a zip, so it has no member {member}. Leave --member out.")
    try:
        if first in _ZIP:
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive, member)) as stream:
                yield stream
        elif first.startswith(_GZIP):
            with gzip.open(path) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            with path.open("rb") as stream:
                yield stream
    except _DAMAGE as error:
        raise WordVectorsMalformed(
            f"{path} cannot be unpacked: {error}. It is cut off or damaged; fetch it again."
        ) from error


def _member(path: Path, archive: zipfile.ZipFile, wanted: str | None) -> zipfile.ZipInfo:
    members = {
        each.filename: each
        for each in archive.infolist()
        if not each.is_dir() and not each.filename.startswith("__MACOSX/")
    }
    if wanted is None and len(members) == 1:
        return next(iter(members.values()))
    if wanted in members:
        return members[wanted]
    here = ", ".join(members) or "none"
    raise WordVectorsMalformed(
        f"{path} has no member {wanted}; its members are: {here}."
        if wanted is not None
        else f"{path} has several members, or none: {here}. Choose one of them with --member."
    )


def read_glove(stream: IO[bytes], name: str) -> Iterator[Entry]:
    """Yield the entries of a stream; the first line gives the dimension.

    Raises:
        WordVectorsMalformed: a line, whose number is given, is not a word and as many numbers as the first has.
    """
    dimension = 0
    for number, line in enumerate(lines_of(stream), start=1):
        dimension = dimension or line.rstrip(b" \r\n").count(b" ")
        yield parse_line(line, dimension, f"{name}, line {number}")


def read_word2vec_text(stream: IO[bytes], name: str) -> Iterator[Entry]:
    """Yield the entries of a stream.

    Raises:
        WordVectorsMalformed: a line, whose number is given, is not a word and as many numbers as the header says, or
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


def read_word2vec_binary(stream: IO[bytes], name: str) -> Iterator[Entry]:
    """Yield the entries of a stream.

    Raises:
        WordVectorsMalformed: a word, whose number and byte are given, is not UTF-8 or holds an end of a line, its
            numbers are not finite, or the stream ends before as many words as the header says.
    """
    header = stream.readline()
    count, dimension = (int(number) for number in header.split())
    buffer, offset = b"", len(header)  # bytes read but not yet used, and their offset in the stream
    for number in range(1, count + 1):
        place = f"{name}, word {number} at byte {offset:,}"
        while (space := buffer.find(b" ")) < 0 or len(buffer) < space + 1 + 4 * dimension:
            if space < 0 and len(buffer) > _LONGEST_WORD:
                raise WordVectorsMalformed(f"{place} has no end. Is the file in word2vec's binary format?")
            piece = stream.read(_PIECE)
            if not piece:
                raise WordVectorsMalformed(
                    f"{place}: the file ends there, and its header promises {count:,} words. It is cut off; "
                    "fetch it again."
                )
            buffer += piece
        end = space + 1 + 4 * dimension
        yield _decoded_word(buffer[:space].lstrip(b"\n"), place), _decoded_vector(buffer[space + 1 : end], place)
        buffer, offset = buffer[end:], offset + end


def _decoded_word(word: bytes, place: str) -> str:
    try:
        text = word.decode()
    except UnicodeDecodeError as error:
        raise WordVectorsMalformed(
            f"{place} is not UTF-8. The file is damaged, or in another encoding, which is not read."
        ) from error
    if "\n" in text:
        raise WordVectorsMalformed(f"{place} has an end of a line in it. Is the file in word2vec's binary format?")
    return text


def _decoded_vector(numbers: bytes, place: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.frombuffer(numbers, dtype="<f4")
    if not np.isfinite(vector).all():
        raise WordVectorsMalformed(f"{place} has a number that is not finite. The file is damaged; fetch it again.")
    return vector
