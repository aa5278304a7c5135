"""An evaluation over vectors: a made-up space whose figures can be told by looking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainer.class_words import ClassWords, Vocabulary, class_words_of_names, read_class_words, write_class_words
from trainer.errors import EvaluationImpossible, TrainingSetUnusable
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.relevance import fit_relevance
from trainer.evaluation.truth import Truth
from trainer.label_space import unit_rows
from trainer.words import WordSpace

WORDS = ("the", "poodle", "terrier", "dog", "car", "truck", "vehicle")
CLASSES = (
    ClassWords("n1", "poodle", ("dog",)),
    ClassWords("n2", "terrier", ("dog",)),
    ClassWords("n3", "car", ("vehicle",)),
    ClassWords("n4", "truck", ("vehicle",)),
)
TAGGABLE = np.array([word != "the" for word in WORDS])


def space() -> WordSpace:
    vectors = np.zeros((len(WORDS), 8), dtype=np.float32)
    vectors[0, 7] = 1
    for kind, members, axis in (("dog", ("poodle", "terrier"), 0), ("vehicle", ("car", "truck"), 1)):
        vectors[WORDS.index(kind), axis] = 1
        for number, member in enumerate(members):
            vectors[WORDS.index(member), [axis, 2 + 2 * axis + number]] = 1
    return WordSpace(WORDS, unit_rows(vectors).astype(np.float16))


VOCABULARY = Vocabulary(space())


def perfect(images_each: int = 12) -> Truth:
    labels = np.repeat(np.arange(4), images_each)
    targets = np.stack([VOCABULARY.label_vector(each, 1) for each in CLASSES])
    noise = np.random.default_rng(0).normal(scale=0.02, size=(len(labels), 8))
    return Truth(unit_rows(targets[labels] + noise), labels, CLASSES)


def test_images_on_their_labels_vectors_get_full_marks() -> None:
    evaluation = evaluate(perfect(), VOCABULARY, TAGGABLE, nearest_kinds=1)
    assert evaluation.metrics() == {
        "images": 48,
        "classes": 4,
        **{f"{hit}@{k}": 1 for hit in ("hit", "word_hit") for k in (1, 2, 5, 10)},
        "label_precision@10": 1,
        "kind_precision@10": 1,
        "tagged@5": 1,
    }
    assert [query.word for query in evaluation.kind_queries] == ["dog", "vehicle"]
    assert [query.relevant for query in evaluation.kind_queries] == [24, 24]


def test_images_of_one_class_on_its_siblings_place_count_as_wrong_for_the_label_and_right_for_the_kind() -> None:
    truth = perfect()
    swapped = truth.vectors.copy()
    swapped[truth.labels == 0] = truth.vectors[truth.labels == 1]
    evaluation = evaluate(replace(truth, vectors=swapped), VOCABULARY, TAGGABLE, nearest_kinds=1)
    assert evaluation.hits == {1: 0.75, 2: 1, 5: 1, 10: 1}
    assert evaluation.kind_precision == 1
    precision = {query.word: query.precision for query in evaluation.label_queries}
    assert precision["poodle"] < 1
    assert precision["car"] == 1
    assert evaluation.tagged == 1


def test_tags_come_from_taggable_words_only() -> None:
    truth = perfect()
    away = replace(truth, vectors=np.tile(VOCABULARY.vectors(["the"]), (48, 1)))
    only_the = np.array([word == "the" for word in WORDS])
    assert evaluate(away, VOCABULARY, only_the, nearest_kinds=1).tagged == 0


def test_no_images_and_a_single_class_are_refused() -> None:
    with pytest.raises(EvaluationImpossible):
        evaluate(Truth(np.empty((0, 8), np.float32), np.empty(0, np.int64), CLASSES), VOCABULARY, TAGGABLE, 1)
    with pytest.raises(EvaluationImpossible):
        evaluate(replace(perfect(), classes=CLASSES[:1]), VOCABULARY, TAGGABLE, 1)


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(TrainingSetUnusable, match="'axolotl'"):
        VOCABULARY.vectors(["dog", "axolotl"])


def test_classes_are_read_as_written(tmp_path: Path) -> None:
    write_class_words(tmp_path / "classes.json", CLASSES)
    assert read_class_words(tmp_path / "classes.json") == CLASSES


@pytest.mark.parametrize("text", ["", "[]", '{"n1": {}}', '{"n1": "dog"}'])
def test_a_malformed_file_of_classes_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(TrainingSetUnusable, match="does not tell the classes' words"):
        read_class_words(tmp_path / "classes.json")


def test_folders_name_their_classes() -> None:
    assert class_words_of_names(["Golden_retriever"]) == (ClassWords("Golden_retriever", "golden retriever"),)


def test_thresholds_empty_foreign_queries_and_keep_right_images() -> None:
    """Words on axes that no image has are unanswerable; images are near to their own words."""
    foreign = np.concatenate([space().vectors, np.eye(8, dtype=np.float16)[6:7]])
    vocabulary = Vocabulary(WordSpace((*WORDS, "galaxy"), foreign))
    relevance = fit_relevance(perfect(40), vocabulary, np.array([*TAGGABLE, True]))
    assert relevance.searches.empty == 1
    assert relevance.searches.kept > 0.95
    assert relevance.tags.kept > 0.9
    for curve in (relevance.text_to_image, relevance.tag, relevance.image_to_image):
        assert curve.slope > 0
        assert float(curve(np.array(0.95))) > 0.5 > float(curve(np.array(0.0)))


def test_relevance_is_not_fitted_where_no_word_near_an_image_is_right() -> None:
    foreign_only = np.array([word == "the" for word in WORDS])
    with pytest.raises(EvaluationImpossible, match="only one of the two"):
        fit_relevance(perfect(), VOCABULARY, foreign_only)
