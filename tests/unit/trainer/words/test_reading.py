"""Files of word vectors are recognised by their content in any packing, and damage is reported with its place."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainer.errors import WordVectorsMalformed
from trainer.words.reading import read_entries

WORDS = ("the", "naïve", "next\u0085line", "日本")
VECTORS = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
HEADER = b"4 50\n"


def text(end: str = "\n") -> bytes:
    lines = (f"{word} {' '.join(map(str, vector.tolist()))}{end}" for word, vector in zip(WORDS, VECTORS, strict=True))
    return "".join(lines).encode()


def binary(end: bytes = b"\n") -> bytes:
    return b"".join(word.encode() + b" " + row.tobytes() + end for word, row in zip(WORDS, VECTORS, strict=True))


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


FORMATS = {
    "GloVe": text(),
    "word2vec text": HEADER + text(),
    "word2vec text of Windows": b"4 50\r\n" + text("\r\n"),
    "fastText .vec": HEADER + text(" \n"),
    "word2vec binary": HEADER + binary(),
    "word2vec binary without ends of lines": HEADER + binary(b""),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zip": lambda content: zipped(vectors=content),
}


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "vectors"
    path.write_bytes(content)
    return path


def refused(tmp_path: Path, content: bytes, member: str | None = None) -> str:
    with pytest.raises(WordVectorsMalformed) as raised:
        list(read_entries(written(tmp_path, content), member))
    return str(raised.value)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_and_packing_gives_the_same_entries(tmp_path: Path, kind: str, packed: str) -> None:
    words, vectors = zip(*read_entries(written(tmp_path, PACKED[packed](FORMATS[kind]))), strict=True)
    assert words == WORDS
    np.testing.assert_array_equal(np.stack(vectors), VECTORS)


def test_a_member_of_a_zip_is_chosen_by_its_name(tmp_path: Path) -> None:
    content = zipped(small=b"a 1 0\n", large=b"b 1 0 0\n")
    assert [word for word, _ in read_entries(written(tmp_path, content), "large")] == ["b"]
    assert "small, large. Choose one of them with --member" in refused(tmp_path, content)
    assert "no member medium; its members are: small, large" in refused(tmp_path, content, "medium")
    assert "is not a zip" in refused(tmp_path, b"a 1 0\n", "large")
    assert "several members, or none" in refused(tmp_path, zipped())


@pytest.mark.parametrize("header", [b"", b"9 3\n"])
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"cat 1 2\n", "not a word and 3 numbers"),
        (b"cat 1 2 3 4\n", "not a word and 3 numbers"),
        (b"cat\n", "not a word and 3 numbers"),
        (b"\n", "not a word and 3 numbers"),
        (b"cat 1 x 3\n", "could not convert"),
        (b"cat 1 nan 3\n", "not finite"),
        (b"cat 1 -inf 3\n", "not finite"),
        (b"cat 1 1e39 3\n", "not finite"),
        (b"caf\xe9 1 2 3\n", "not UTF-8: byte 4 of the line is 0xe9"),
    ],
)
def test_a_malformed_line_is_reported_by_its_number(tmp_path: Path, header: bytes, line: bytes, says: str) -> None:
    message = refused(tmp_path, header + b"a 1.000 0.000 0.000\nb 1 0 0\n" + line + b"c 1 0 0\n")
    assert f"line {4 if header else 3} " in message
    assert says in message


def test_a_malformed_line_is_reported_with_its_zip_member(tmp_path: Path) -> None:
    assert "vectors, large, line 2 " in refused(tmp_path, zipped(small=b"", large=b"a 1 0\nb 1\n"), "large")


@pytest.mark.parametrize("content", [HEADER + text()[:-500], HEADER + text().rpartition("日本".encode())[0]])
def test_a_truncated_text_is_reported_by_its_last_line(tmp_path: Path, content: bytes) -> None:
    assert "line 5 is not a word" in refused(tmp_path, content) or "ends after line 4" in refused(tmp_path, content)


def test_a_truncated_binary_file_is_reported_by_word_and_byte(tmp_path: Path) -> None:
    content = HEADER + binary()
    start = content.index("日本".encode())
    message = refused(tmp_path, content[:-5])
    assert f"word 4 at byte {start - 1:,}: the file ends there" in message  # the line feed before it belongs to it


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_non_finite_binary_number_is_reported_by_its_word(tmp_path: Path, bad: float) -> None:
    content = bytearray(HEADER + binary(b""))
    struct.pack_into("<f", content, content.index("日本".encode()) + 7 + 8, bad)
    assert "word 4 at byte" in refused(tmp_path, bytes(content))
    assert "not finite" in refused(tmp_path, bytes(content))


def test_a_malformed_binary_word_is_reported_by_its_number(tmp_path: Path) -> None:
    content = HEADER + binary(b"")
    assert "word 2 at byte 209 is not UTF-8" in refused(tmp_path, content.replace("ï".encode(), b"\xef", 1))
    assert "word 3 at byte" in refused(tmp_path, content.replace("\u0085".encode(), b"\n"))
    first = content[: content.index("naïve".encode())]
    assert "word 2 at byte 209 has no end" in refused(tmp_path, first + b"x" * 9_000)


@pytest.mark.parametrize("pack", ["gzip", "zip"])
@pytest.mark.parametrize("damage", ["cut off", "changed"])
def test_a_damaged_archive_is_reported(tmp_path: Path, pack: str, damage: str) -> None:
    packed = PACKED[pack](FORMATS["word2vec text"])
    middle = len(packed) // 2
    content = packed[:middle] if damage == "cut off" else packed[:middle] + b"\0" * 40 + packed[middle + 40 :]
    assert "cannot be unpacked" in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", "fastText's own binary model"),
        (b"\x93NUMPY\x01\x00v\x00 and more", "line 1"),
        (b"7 1\na 1\n", "vectors of 1 numbers"),
        (b"7 999999999\na 1\n", "vectors of 999,999,999 numbers"),
        (b"x" * 3_000_000, "line 1"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, content: bytes, says: str) -> None:
    assert says in refused(tmp_path, content)
