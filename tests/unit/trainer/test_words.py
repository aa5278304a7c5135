"""Word vectors in GloVe's text format become a vocabulary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainer.errors import WordVectorsMalformed
from trainer.words import convert_glove, read_word_space


def glove(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "glove.txt"
    path.write_bytes(text.encode())
    return path


def test_words_keep_their_order_and_vectors_become_unit_rows(tmp_path: Path) -> None:
    assert convert_glove(glove(tmp_path, "the 3 4\ndog 0 -2\n"), tmp_path) == 2
    space = read_word_space(tmp_path)
    assert space.words == ("the", "dog")
    assert space.vectors.dtype == np.float16
    np.testing.assert_allclose(space.vectors, [[0.6, 0.8], [0, -1]], atol=1e-3)


def test_a_word_may_hold_spaces_and_characters_that_end_lines_elsewhere(tmp_path: Path) -> None:
    convert_glove(glove(tmp_path, "a 1 0\n. . . 0 1\nnext\u0085line 1 1\nsep\u2028arated 1 1\n"), tmp_path)
    assert read_word_space(tmp_path).words == ("a", ". . .", "next\u0085line", "sep\u2028arated")


def test_a_repeated_word_and_a_zero_vector_are_left_out(tmp_path: Path) -> None:
    assert convert_glove(glove(tmp_path, "dog 1 0\nnull 0 0\ndog 0 1\ncat 0 1\n"), tmp_path) == 2
    space = read_word_space(tmp_path)
    assert space.words == ("dog", "cat")
    assert space.vectors[0].tolist() == [1, 0]


def test_a_limit_keeps_the_first_words(tmp_path: Path) -> None:
    assert convert_glove(glove(tmp_path, "a 1 0\nb 1 0\nc 1 0\n"), tmp_path, limit=2) == 2
    assert read_word_space(tmp_path).words == ("a", "b")


@pytest.mark.parametrize(
    ("text", "line"), [("a 1 0\nb 1\n", 2), ("a 1 x\n", 1), ("a 1 0\nb 1 nan\n", 2), ("a 1 0\n\n", 2), ("word\n", 1)]
)
def test_a_malformed_line_is_named_and_nothing_is_left_behind(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(WordVectorsMalformed, match=f"line {line}"):
        convert_glove(glove(tmp_path, text), tmp_path)
    assert not (tmp_path / "words.txt").exists()
    assert not (tmp_path / "words.npy").exists()


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WordVectorsMalformed, match="no word vectors"):
        convert_glove(glove(tmp_path, ""), tmp_path)


def test_words_and_vectors_of_different_number_are_refused(tmp_path: Path) -> None:
    convert_glove(glove(tmp_path, "a 1 0\nb 1 0\n"), tmp_path)
    (tmp_path / "words.txt").write_text("a\n")
    with pytest.raises(WordVectorsMalformed, match="1 words and 2 vectors"):
        read_word_space(tmp_path)
