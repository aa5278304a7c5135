"""Labels get vectors: their own, the mean of their words, or that of a synonym; those that get none are all listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trainer.errors import TrainingSetUnusable
from trainer.labels.class_words import ClassWords, with_synonyms
from trainer.labels.space import Vocabulary, label_space_of, unit_rows
from trainer.words.word_space import WordSpace

WORDS = ("the", "golden", "retriever", "dog", "panda", "pandas", "sports car", "sports", "car")
VOCABULARY = Vocabulary(
    WordSpace(WORDS, unit_rows(np.random.default_rng(0).normal(size=(len(WORDS), 8))).astype(np.float16))
)


def vector(label: str) -> np.ndarray:
    return VOCABULARY.vectors([label])[0]


def refusal(*labels: str) -> str:
    with pytest.raises(TrainingSetUnusable) as raised:
        VOCABULARY.vectors(labels)
    return str(raised.value)


@pytest.mark.parametrize("label", ["golden retriever", "golden_retriever", " golden  retriever "])
def test_a_label_of_several_words_gets_the_mean_of_their_vectors(label: str) -> None:
    mean = vector("golden") + vector("retriever")
    np.testing.assert_allclose(vector(label), mean / np.linalg.norm(mean), atol=1e-6)


def test_a_phrase_of_the_vocabulary_keeps_its_own_vector() -> None:
    found = VOCABULARY.vectors(["sports car", "golden retriever", "dog"])
    assert found.dtype == np.float32
    own = VOCABULARY.vectors(["sports car", "dog"])
    np.testing.assert_array_equal(found[[0, 2]], own)
    assert abs(float(own[0] @ unit_rows((vector("sports") + vector("car"))[None])[0])) < 0.999


def test_labels_without_a_vector_are_listed_with_suggestions() -> None:
    message = refusal("dog", "pnada", "golden retreiver", "xylophone", "the 🐶", *(f"n{n}" for n in range(20)))
    lines = message.splitlines()
    assert lines[0] == "The vocabulary has no vector for 24 labels:"
    assert lines[1:5] == [
        "  'pnada' (did you mean 'panda'?)",
        "  'golden retreiver': no 'retreiver' (did you mean 'retriever'?)",
        "  'xylophone'",
        "  'the 🐶': no '🐶'",
    ]
    assert [line.strip() for line in lines[5:25]] == [f"'n{n}'" for n in range(20)]
    assert "--synonyms" in lines[25]
    assert len(lines) == 26


@pytest.mark.parametrize("label", ["🐶", "👩‍🚀", "", "   ", "_"])
def test_an_emoji_or_an_empty_label_is_reported_like_any_other(label: str) -> None:
    assert refusal(label).startswith(f"The vocabulary has no vector for 1 label:\n  {label!r}\n")


def test_case_counts_and_the_other_case_is_suggested() -> None:
    assert "did you mean 'panda', 'pandas'?" in refusal("Panda")


def test_synonyms_apply_by_a_class_name_or_its_word(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.json"
    path.write_text(json.dumps({"🐶": "dog", "ailuropoda": "panda", "n3": "golden retriever", "other": "car"}))
    classes = (ClassWords("🐶", "🐶"), ClassWords("n2", "ailuropoda", ("the",)), ClassWords("n3", "x"))
    called = with_synonyms([*classes, ClassWords("n4", "sports")], path)
    assert [each.word for each in called] == ["dog", "panda", "golden retriever", "sports"]
    assert called[1] == ClassWords("n2", "panda", ("the",))
    assert with_synonyms(classes, None) == classes


@pytest.mark.parametrize("text", ["", "[]", '{"a": {"word": "dog"}}', '{"a": null}'])
def test_a_malformed_file_of_synonyms_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "synonyms.json").write_text(text)
    with pytest.raises(TrainingSetUnusable, match="has no synonyms"):
        with_synonyms((), tmp_path / "synonyms.json")


def test_a_missing_file_of_synonyms_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TrainingSetUnusable, match="No such file"):
        with_synonyms((), tmp_path / "absent.json")


def test_the_words_of_a_label_are_not_drawn_as_words_of_no_class() -> None:
    space = label_space_of((ClassWords("n1", "golden retriever", ("dog",)),), VOCABULARY, 1, 100)
    foreign = space.concepts[2:]
    assert len(foreign) == len(WORDS) - 3
    assert max(float((foreign @ vector(word)).max()) for word in ("golden", "retriever", "dog")) < 0.999
    np.testing.assert_allclose(space.concepts[0], vector("golden retriever"), atol=1e-6)
