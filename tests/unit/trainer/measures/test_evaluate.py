"""An evaluation over vectors: a made-up space with obvious figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer.made_up_space import CLASSES, TAGGABLE, VOCABULARY, WORDS, perfect
from trainer.errors import EvaluationImpossible, TrainingSetUnusable
from trainer.labels.class_words import ClassWords, class_words_of_names, read_class_words, write_class_words
from trainer.measures.evaluate import evaluate
from trainer.measures.truth import Truth


def test_images_on_their_labels_vectors_get_full_marks() -> None:
    evaluation = evaluate(perfect(), VOCABULARY, TAGGABLE, nearest_kinds=1)
    metrics = evaluation.metrics()
    assert (metrics.pop("images"), metrics.pop("classes")) == (48, 4)
    assert set(metrics) >= {"hit@1", "word_hit@10", "hierarchical_precision@20", "label_map", "pair_precision@10"}
    assert {name: share for name, share in metrics.items() if share != pytest.approx(1)} == {}
    kinds = evaluation.searches.queries["kind"]
    assert [(query.query, query.relevant) for query in kinds] == [("dog", 24), ("vehicle", 24)]


def test_a_siblings_place_is_wrong_as_label_and_right_as_kind() -> None:
    truth = perfect()
    swapped = truth.vectors.copy()
    swapped[truth.shows[:, 0]] = truth.vectors[truth.shows[:, 1]]
    evaluation = evaluate(replace(truth, vectors=swapped), VOCABULARY, TAGGABLE, nearest_kinds=1)
    metrics = evaluation.metrics()
    assert {k: metrics[f"hit@{k}"] for k in (1, 2, 5, 10)} == {1: 0.75, 2: 1, 5: 1, 10: 1}
    assert metrics["hierarchical_precision@2"] == 1
    assert metrics["kind_precision@10"] == 1
    precision = {query.query: query.precision for query in evaluation.searches.queries["label"]}
    assert precision["poodle"] < 1
    assert precision["car"] == 1
    assert evaluation.tagged[5] == 1


def test_tags_come_from_taggable_words_only() -> None:
    truth = perfect()
    away = replace(truth, vectors=np.tile(VOCABULARY.vectors(["the"]), (48, 1)))
    only_the = np.array([word == "the" for word in WORDS])
    assert evaluate(away, VOCABULARY, only_the, nearest_kinds=1).tagged == {1: 0, 5: 0, 10: 0}


def test_no_images_and_a_single_class_are_refused() -> None:
    with pytest.raises(EvaluationImpossible):
        evaluate(Truth(np.empty((0, 8), np.float32), np.empty((0, 1), np.int64), CLASSES), VOCABULARY, TAGGABLE, 1)
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
    with pytest.raises(TrainingSetUnusable, match="does not have the classes' words"):
        read_class_words(tmp_path / "classes.json")


def test_folders_name_their_classes() -> None:
    assert class_words_of_names(["Golden_retriever"]) == (ClassWords("Golden_retriever", "golden retriever"),)
