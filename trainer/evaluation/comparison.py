"""Bundles and baselines side by side, on the same images: what `python -m trainer evaluate` does.

1. Training images, if given, are run through the first bundle's backbone; what they hold is measured by no column.
2. Each bundle embeds the images by itself, and is measured.
3. Chance, the baselines on the first bundle's features, and a teacher are measured on the first bundle's images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from model.bundle.reading import Bundle, open_bundle, peek
from trainer.data_sets.reading import LabelledFile, read_images
from trainer.errors import EvaluationImpossible
from trainer.evaluation.baselines import Features, Ground, chance, feature_baselines
from trainer.evaluation.bundle_measures import Questions, ground_of, measure_bundle
from trainer.evaluation.images import Embedded, embed_truth
from trainer.evaluation.report import BundleDetails, Column, DataNote, Report
from trainer.evaluation.teacher import Classifier, output_labels, place_images
from trainer.evaluation.training_set import TrainingSet, read_training_set
from trainer.features.computing import Extractor
from trainer.features.extractors import extractor_of
from trainer.labels.class_words import ClassWords
from trainer.measures.evaluate import Evaluation, evaluate
from trainer.measures.truth import Truth

__all__ = ["Asked", "Teacher", "compare"]

Tick = Callable[[str], None]
_NOTES = {
    "chance": "every order equally likely",
    "softmax": "a classifier on the same backbone's features",
    "ConSE": "the ten likeliest classes' label vectors, weighed by the softmax classifier (Norouzi et al. 2014)",
    "nearest class mean": "of the same backbone's features; searches by image compare those",
}


@dataclass(frozen=True)
class Teacher:
    """A pretrained classifier, the names of its outputs, and on how many images it is run; 0 is all."""

    classifier: Classifier
    outputs: tuple[str, ...]
    images: int = 0


@dataclass(frozen=True)
class Asked:
    """What is compared on what. ``bundles``: folders, the first in question; ``per_class``: cap on training images."""

    bundles: tuple[Path, ...]
    images: tuple[Path, ...]
    classes: tuple[ClassWords, ...]
    questions: Questions
    training: tuple[Path, ...] = ()
    per_class: int | None = None
    teacher: Teacher | None = None
    tick: Tick = field(default=lambda stage: None)

    def read(self) -> Iterator[LabelledFile]:
        """The images, from the first to the last."""
        return read_images(self.images)


def compare(asked: Asked) -> Report:
    """Measure everything that was asked for.

    Raises:
        TrainerError: something that was given does not fit; the message says what to do.
        ModelError: a bundle cannot be opened.
    """
    folder, *others = asked.bundles
    bundle = open_bundle(folder)
    extractor = _extractor(folder) if asked.training else None
    training = _training(asked, extractor) if extractor else None
    embedded = _embed(asked, bundle, training, extractor)
    ground = ground_of(bundle, embedded, asked.questions)
    column, details = measure_bundle(bundle, embedded, ground, asked.questions)
    columns, bundles = [column], [details]
    for other in others:
        column, details = _measure_other(asked, other, training)
        columns.append(column)
        bundles.append(details)
    columns.append(_baseline("chance", ground, chance(ground, bundles[0].searches)))
    if training:
        columns += _feature_columns(embedded, ground, training)
    if asked.teacher:
        columns += _teacher_columns(asked, asked.teacher, embedded, ground)
    data = DataNote(
        sources=tuple(path.name for path in asked.images),
        images=len(embedded.truth.labels),
        classes=len(embedded.truth.classes),
        hierarchy=ground.hierarchy.source,
        foreign=asked.questions.foreign,
        reporting=int((~embedded.for_fitting).sum()),
        unreadable=(*embedded.unreadable, *(training.unreadable if training else ())),
        trained_on=embedded.trained_on,
        unlabelled=embedded.unlabelled,
        training=len(training.names) if training else 0,
    )
    return Report(data, tuple(columns), tuple(bundles))


def _extractor(folder: Path) -> Extractor:
    manifest = peek(folder)
    return extractor_of(
        folder / manifest.backbone, manifest.input_size, manifest.feature_layer, manifest.resize, manifest.pixel_scale
    )


def _training(asked: Asked, extractor: Extractor) -> TrainingSet:
    images = read_images(asked.training)
    return read_training_set(images, extractor, asked.per_class, lambda: asked.tick("training images"))


def _embed(asked: Asked, bundle: Bundle, training: TrainingSet | None, extractor: Extractor | None) -> Embedded:
    return embed_truth(
        bundle,
        asked.read(),
        asked.classes,
        lambda: asked.tick(bundle.manifest.id),
        backbone=extractor.network if extractor else None,
        trained_on=training.digests if training else frozenset(),
    )


def _measure_other(asked: Asked, folder: Path, training: TrainingSet | None) -> tuple[Column, BundleDetails]:
    bundle = open_bundle(folder)
    embedded = _embed(asked, bundle, training, None)
    return measure_bundle(bundle, embedded, ground_of(bundle, embedded, asked.questions), asked.questions)


def _baseline(name: str, ground: Ground, metrics: dict[str, float]) -> Column:
    return Column(name, "baseline", len(ground.truth.labels), metrics, _NOTES[name])


def _feature_columns(embedded: Embedded, ground: Ground, training: TrainingSet) -> list[Column]:
    position = {each.name: number for number, each in enumerate(ground.truth.classes)}
    fitted = [(row, position[name]) for row, names in enumerate(training.names) for name in names if name in position]
    rows, labels = np.array(fitted, dtype=np.int64).reshape(-1, 2).T
    if len(np.unique(labels)) < 2:
        raise EvaluationImpossible("The training images show fewer than two of the classes. Check --training.")
    features = Features(embedded.features, training.features[rows], labels)
    return [_baseline(name, ground, metrics) for name, metrics in feature_baselines(ground, features).items()]


def _teacher_columns(asked: Asked, teacher: Teacher, embedded: Embedded, ground: Ground) -> list[Column]:
    truth, questions = ground.truth, asked.questions
    count = min(teacher.images or len(truth.labels), len(truth.labels))
    chosen = np.linspace(0, len(truth.labels) - 1, count).astype(np.int64)
    wanted = set(embedded.positions[chosen].tolist())
    classes, vocabulary = truth.classes, ground.vocabulary
    labels = output_labels(teacher.outputs, classes, vocabulary, questions.nearest_kinds, questions.wordnet)
    vectors = place_images(
        teacher.classifier,
        (image for number, image in enumerate(asked.read()) if number in wanted),
        labels,
        vocabulary,
        questions.nearest_kinds,
        lambda: asked.tick("teacher"),
    )
    some = replace(truth, vectors=truth.vectors[chosen], labels=truth.labels[chosen])
    columns = {"teacher + ConSE": replace(some, vectors=vectors)}
    if count < len(truth.labels):
        columns[f"bundle on the teacher's {count}"] = some
    known = sum(label is not None for label in labels)
    notes = (
        f"{known:,} of its {len(labels):,} outputs have a word, {count:,} images",
        "the first bundle, on the images that the teacher is run on",
    )
    return [
        Column(name, "baseline", count, _of_space(ground, each).metrics(), note)
        for (name, each), note in zip(columns.items(), notes, strict=False)
    ]


def _of_space(ground: Ground, truth: Truth) -> Evaluation:
    return evaluate(truth, ground.vocabulary, ground.taggable, ground.nearest_kinds, ground.hierarchy)
