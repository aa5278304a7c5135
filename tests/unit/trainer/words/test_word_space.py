"""Word vectors become a vocabulary, whatever their number in little memory."""

from __future__ import annotations

import errno
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import StorageFull
from trainer.errors import WordDimensionUnusable, WordVectorsMalformed
from trainer.words import word_space as words_module
from trainer.words.word_space import check_dimension, convert_words, read_word_space


def glove(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "glove.txt"
    path.write_bytes(text.encode())
    return path


def test_words_keep_their_order_and_vectors_become_unit_rows(tmp_path: Path) -> None:
    assert convert_words(glove(tmp_path, "the 3 4\ndog 0 -2\n"), tmp_path) == 2
    space = read_word_space(tmp_path)
    assert space.words == ("the", "dog")
    assert space.vectors.dtype == np.float16
    np.testing.assert_allclose(space.vectors, [[0.6, 0.8], [0, -1]], atol=1e-3)


def test_a_word_may_contain_spaces_and_line_separators(tmp_path: Path) -> None:
    convert_words(glove(tmp_path, "a 1 0\n. . . 0 1\nnext\u0085line 1 1\nsep\u2028arated 1 1\n"), tmp_path)
    assert read_word_space(tmp_path).words == ("a", ". . .", "next\u0085line", "sep\u2028arated")


def test_a_repeated_word_and_a_zero_vector_are_left_out(tmp_path: Path) -> None:
    assert convert_words(glove(tmp_path, "dog 1 0\nnull 0 0\ndog 0 1\ncat 0 1\n"), tmp_path) == 2
    space = read_word_space(tmp_path)
    assert space.words == ("dog", "cat")
    assert space.vectors[0].tolist() == [1, 0]


def test_a_limit_keeps_the_first_words(tmp_path: Path) -> None:
    assert convert_words(glove(tmp_path, "a 1 0\nb 1 0\nc 1 0\n"), tmp_path, limit=2) == 2
    assert read_word_space(tmp_path).words == ("a", "b")


def test_in_lower_case_the_first_of_equal_words_stays(tmp_path: Path) -> None:
    source = glove(tmp_path, "The 1 0\nthe 0 1\nTHE 1 1\nDog 0 1\nÉTÉ 1 0\n")
    assert convert_words(source, tmp_path, lowercase=True) == 3
    space = read_word_space(tmp_path)
    assert space.words == ("the", "dog", "été")
    assert space.vectors[0].tolist() == [1, 0]
    assert convert_words(source, tmp_path) == 5
    assert convert_words(source, tmp_path, 2, lowercase=True) == 2


def test_an_empty_word_is_left_out(tmp_path: Path) -> None:
    assert convert_words(glove(tmp_path, "dog 1 0\n 0 1\ncat 0 1\n"), tmp_path) == 2


def test_very_long_and_very_short_vectors_keep_their_direction(tmp_path: Path) -> None:
    convert_words(glove(tmp_path, "long 3e30 4e30\nshort 3e-30 4e-30\n"), tmp_path)
    np.testing.assert_allclose(read_word_space(tmp_path).vectors, [[0.6, 0.8]] * 2, atol=1e-3)


def write_text(path: Path, count: int) -> None:
    numbers = " ".join(["0.12345"] * 300)
    with path.open("w") as file:
        file.writelines(f"word{number} {numbers}\n" for number in range(count))


def write_binary(path: Path, count: int) -> None:
    numbers = np.full(300, 0.12345, dtype="<f4").tobytes()
    with path.open("wb") as file:
        file.write(b"%d 300\n" % count)
        file.writelines(b"word%d " % number + numbers for number in range(count))


def peak_of(source: Path, folder: Path) -> int:
    """The most bytes that are held while a file is converted."""
    tracemalloc.start()
    try:
        convert_words(source, folder)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("write", [write_text, write_binary])
def test_of_a_file_only_its_words_are_held_in_memory(tmp_path: Path, write: Callable[[Path, int], None]) -> None:
    peaks = []
    for count in (200, 2_200):
        write(tmp_path / "vectors", count)
        peaks.append(peak_of(tmp_path / "vectors", tmp_path / "words"))
    # A vector has 2,400 bytes in text and 600 as it is written; a word and its place in the set of words, which is held
    # twice while it grows, have about 150. At 2.2 million words this bound is 660 MB.
    assert (peaks[1] - peaks[0]) / 2_000 < 300
    assert peaks[0] < 1 << 20


def test_a_full_disk_is_reported_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(words_module, "_to_npy", full)
    with pytest.raises(StorageFull, match="No space left"):
        convert_words(glove(tmp_path, "a 1 0\n"), tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["glove.txt"]


@pytest.mark.parametrize(
    ("text", "line"), [("a 1 0\nb 1\n", 2), ("a 1 x\n", 1), ("a 1 0\nb 1 nan\n", 2), ("a 1 0\n\n", 2), ("word\n", 1)]
)
def test_a_malformed_line_is_named_and_nothing_is_left_behind(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(WordVectorsMalformed, match=f"line {line}"):
        convert_words(glove(tmp_path, text), tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["glove.txt"]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WordVectorsMalformed, match="no word vectors"):
        convert_words(glove(tmp_path, ""), tmp_path)


def test_words_and_vectors_of_different_number_are_refused(tmp_path: Path) -> None:
    convert_words(glove(tmp_path, "a 1 0\nb 1 0\n"), tmp_path)
    (tmp_path / "words.txt").write_text("a\n")
    with pytest.raises(WordVectorsMalformed, match="1 words and 2 vectors"):
        read_word_space(tmp_path)


@given(st.integers(0, 5_000))
def test_a_model_has_words_of_50_to_1024_numbers(dimension: int) -> None:
    with nullcontext() if 50 <= dimension <= 1_024 else pytest.raises(WordDimensionUnusable, match=f"{dimension:,} "):
        check_dimension(dimension, Path("words"))
