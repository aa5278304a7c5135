"""Classes that were kept out of training, among themselves and among all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer.made_up_space import VOCABULARY, perfect
from trainer.errors import EvaluationImpossible
from trainer.measures.evaluate import measure_zero_shot, read_unseen


def test_an_image_near_a_trained_class_counts_among_unseen_only() -> None:
    """Terriers lie on poodles: among terrier and truck they are right still, among all classes not at first."""
    truth = perfect()
    drawn = truth.vectors.copy()
    drawn[truth.shows[:, 1]] = truth.vectors[truth.shows[:, 0]]
    found = measure_zero_shot(replace(truth, vectors=drawn), VOCABULARY, {"n2", "n4", "elsewhere"})
    assert (found.classes, found.known, found.images) == (2, 4, 24)
    assert found.hits[1] == 1
    assert found.hits_among_all[1] == 0.5
    assert found.hits_among_all[2] == 1
    precision = {query.query: query.precision for query in found.queries}
    assert precision["truck"] == 1
    assert precision["terrier"] < 1
    assert found.times_chance == pytest.approx(np.mean(list(precision.values())) / 0.25)


def test_fewer_than_two_unseen_classes_are_refused() -> None:
    with pytest.raises(EvaluationImpossible, match="show 1 of the 2 classes"):
        measure_zero_shot(perfect(), VOCABULARY, {"n2", "elsewhere"})


@pytest.mark.parametrize("text", ['["n2", "n4"]', '{"n2": {"word": "terrier"}, "n4": {}}'])
def test_a_list_or_a_file_of_labels_names_the_classes(tmp_path: Path, text: str) -> None:
    (tmp_path / "unseen.json").write_text(text)
    assert read_unseen(tmp_path / "unseen.json") == {"n2", "n4"}


@pytest.mark.parametrize("text", ["", "[1]", '"n2"'])
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "unseen.json").write_text(text)
    with pytest.raises(EvaluationImpossible, match="names no classes"):
        read_unseen(tmp_path / "unseen.json")
