"""A caption head finds pictures by captions, resumes after an interruption, and serves as trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.bundle.reading import WordTable
from trainer.caption_head.network import (
    CaptionHeadSettings,
    TrainedHead,
    move_classes,
    turned_vectors,
    write_turned_words,
)
from trainer.caption_head.pictures import CaptionedFeatures, WordedFeatures
from trainer.caption_head.training import fit_caption_head
from trainer.errors import TrainingSetUnusable
from trainer.evaluation.captions import CaptionVectors, image_ranks
from trainer.features.feature_set import FeatureSet
from trainer.labels.caption_words import CaptionWords
from trainer.labels.space import unit_rows
from trainer.runs import Run
from trainer.words.word_space import read_word_table

WORDS, PICTURES, FEATURES, CLASSES, DIMENSION = 12, 96, 20, 5, 50
SETTINGS = CaptionHeadSettings(
    members=2, hidden=32, dropout=0.1, feature_dropout=0.1, batch=32, worded_batch=8, epochs=8, learning_rate=1e-2
)


class Stopped(Exception):
    """The process ends here."""


def made_up(seed: int = 0) -> tuple[CaptionedFeatures, WordedFeatures, WordTable, NDArray[np.float32]]:
    """Pictures that show two words each; their features are a random map of what they show."""
    random = np.random.default_rng(seed)
    vectors = unit_rows(random.normal(size=(WORDS, DIMENSION)))
    names = tuple(f"word{number}" for number in range(WORDS))
    table = WordTable(names, vectors.astype(np.float16), np.ones(WORDS, np.bool_))
    shows = np.zeros((PICTURES, WORDS), np.int8)
    for row in shows:
        row[random.choice(WORDS, 2, replace=False)] = 1
    into = random.normal(size=(WORDS, FEATURES))
    logits = shows[:, :CLASSES] * 3.0
    rows = np.concatenate([shows @ into + random.normal(0, 0.05, (PICTURES, FEATURES)), logits], axis=1)
    seen = FeatureSet(
        rows[:, None].astype(np.float32), np.arange(PICTURES), np.zeros((PICTURES, 1), np.int64), ("captioned",)
    )
    captions = shows.astype(np.float32) @ vectors
    paths = tuple(f"{number}.jpg" for number in range(PICTURES))
    captioned = CaptionedFeatures(
        paths, seen, captions, shows.astype(np.uint8), np.arange(PICTURES), CaptionWords(names, np.arange(WORDS), shows)
    )
    return captioned, WordedFeatures(seen, names, shows), table, vectors[:CLASSES]


def fit(folder: Path, settings: CaptionHeadSettings = SETTINGS, stop_after: int = 0) -> TrainedHead:
    captioned, worded, table, classes = made_up()

    def stop(epoch: int, figures: dict[str, float]) -> None:
        if epoch == stop_after:
            raise Stopped

    return fit_caption_head(Run(folder, settings), captioned, [worded], table, classes, settings, stop)


def serve(trained: TrainedHead, captioned: CaptionedFeatures) -> NDArray[np.float32]:
    return unit_rows(np.asarray(trained.head(captioned.seen.take(np.arange(PICTURES)))))


def test_captions_find_their_pictures(tmp_path: Path) -> None:
    captioned, _, table, _ = made_up()
    trained = fit(tmp_path)
    words = turned_vectors(table, trained)
    asked = CaptionVectors(
        unit_rows(captioned.caption_words @ words), captioned.owners, np.ones(PICTURES, dtype=np.bool_)
    )
    assert np.median(image_ranks(asked, serve(trained, captioned))) <= 3, "chance is 48"


@pytest.mark.parametrize("epoch", [3, SETTINGS.epochs, SETTINGS.epochs + 2])
def test_an_interrupted_run_gives_the_same_head(tmp_path: Path, epoch: int) -> None:
    captioned, *_ = made_up()
    whole = fit(tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(tmp_path / "broken", stop_after=epoch)
    resumed = fit(tmp_path / "broken")
    np.testing.assert_array_equal(resumed.turn, whole.turn)
    np.testing.assert_array_equal(serve(resumed, captioned), serve(whole, captioned))


def test_the_matrix_stays_near_a_rotation(tmp_path: Path) -> None:
    turn = fit(tmp_path, replace(SETTINGS, turn_weight=1_000.0)).turn
    np.testing.assert_allclose(turn.T @ turn, np.eye(DIMENSION), atol=0.05)


def test_words_that_no_picture_teaches_are_only_turned(tmp_path: Path) -> None:
    """A rotation leaves the angles between them as they are."""
    captioned, worded, table, classes = made_up()
    settings = replace(SETTINGS, least_right=PICTURES + 1, turn_weight=1_000.0)
    trained = fit_caption_head(Run(tmp_path / "run", settings), captioned, [worded], table, classes, settings)
    assert trained.moved_words == ()
    write_turned_words(tmp_path / "words", table, trained, table.taggable)
    turned, given = (unit_rows(rows) for rows in (read_word_table(tmp_path / "words").vectors, table.vectors))
    np.testing.assert_allclose(turned @ turned.T, given @ given.T, atol=0.05)


def test_a_backbone_without_classes_has_the_second_part_alone(tmp_path: Path) -> None:
    captioned, _, table, _ = made_up()
    trained = fit_caption_head(Run(tmp_path, SETTINGS), captioned, (), table, None, SETTINGS)
    assert trained.head.input_shape == (None, FEATURES + CLASSES)
    vectors = np.asarray(trained.head(captioned.seen.take(np.arange(PICTURES))))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_fewer_pictures_than_a_step_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingSetUnusable, match="96 captioned pictures, and a step takes 97"):
        fit(tmp_path, replace(SETTINGS, batch=97))


@pytest.mark.parametrize("wrong", [{"dropout": 1.0}, {"feature_dropout": -0.1}, {"members": 0}, {"learning_rate": 0}])
def test_settings_that_cannot_train_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(TrainingSetUnusable, match=next(iter(wrong))):
        replace(SETTINGS, **wrong)  # type: ignore[arg-type]


def test_classes_follow_moved_words_part_of_the_way(tmp_path: Path) -> None:
    trained = fit(tmp_path)
    layer = trained.head.get_layer("classes")
    [before] = layer.get_weights()
    towards = unit_rows(np.random.default_rng(1).normal(size=before.shape))
    towards[0] = 0  # no word of the vocabulary fits this class
    move_classes(trained.head, towards, 0.25)
    [after] = layer.get_weights()
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_allclose(after[1:], unit_rows(0.25 * towards[1:] + 0.75 * before[1:]), atol=1e-6)
