"""Measure bundles and baselines side by side, on the same images, for `python -m trainer evaluate`.

1. Training images, if given, are run through the first bundle's backbone; no column is measured on them.
2. Each bundle embeds the images by itself, and is measured.
3. Chance, the baselines on the first bundle's features, and a teacher are measured on the first bundle's images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from model.bundle.manifest import Logistic
from model.bundle.reading import Bundle, open_bundle, peek
from trainer.data_sets.reading import LabelledFile, read_images
from trainer.errors import EvaluationImpossible
from trainer.evaluation.baselines import EvaluationData, Features, chance, feature_baselines
from trainer.evaluation.images import EmbeddedImages, TrainingSet, embed_images, read_training_set
from trainer.evaluation.report import BundleDetails, Column, DataNote, Report
from trainer.evaluation.teacher import Classifier, output_labels, place_images
from trainer.evaluation.words import WordPair, correlate, hubness, nearest_words
from trainer.features.computing import Extractor
from trainer.features.extractors import extractor_of
from trainer.labels.class_words import ClassWords
from trainer.labels.space import vocabulary_of
from trainer.measures.evaluate import Evaluation, evaluate, measure_zero_shot
from trainer.measures.figures import PAIRS_PREFIX
from trainer.measures.hierarchy import hierarchy_of
from trainer.measures.searches_and_tags import taggable_words
from trainer.measures.truth import Truth
from trainer.relevance.calibration import LogisticCurve, Reliability, histogram, reliability
from trainer.relevance.fitting import tag_pairs, text_pairs, word_halves
from trainer.relevance.thresholds import far_words, search_effects, tag_effects, words_of_other_things
from trainer.words.wordnet import WordNet

NEAREST_OF = ("said", "ocean", "dog", "bottle", "street", "boat")
_FOREIGN_WORDS = 5_000
_NOTES = {
    "chance": "every order equally likely",
    "softmax": "a classifier on the same backbone's features",
    "ConSE": "the ten likeliest classes' label vectors, weighed by the softmax classifier (Norouzi et al. 2014)",
    "nearest class mean": "of the same backbone's features; searches by image compare those",
}
Tick = Callable[[str], None]


@dataclass(frozen=True)
class EvaluationOptions:
    """The options for measuring every bundle. `pairs`: lists of graded word pairs; `unseen`: classes kept out."""

    nearest_kinds: int
    wordnet: WordNet | None
    pairs: Mapping[str, Sequence[WordPair]]
    unseen: frozenset[str] | None = None

    @property
    def foreign(self) -> str:
        """Which words count as matching no image, and by which rule."""
        judge = "WordNet calls other things" if self.wordnet else "are far from every class's words"
        return f"no image matches the taggable words that {judge}, of the half that fits no curve"


def evaluation_data(bundle: Bundle, embedded: EmbeddedImages, options: EvaluationOptions) -> EvaluationData:
    """Return what the bundle and its baselines are measured on."""
    classes = embedded.truth.classes
    return EvaluationData(
        truth=embedded.truth,
        vocabulary=vocabulary_of(bundle.words),
        taggable=bundle.words.taggable,
        nearest_kinds=options.nearest_kinds,
        hierarchy=hierarchy_of(classes, options.wordnet),
    )


def measure_bundle(
    bundle: Bundle, embedded: EmbeddedImages, data: EvaluationData, options: EvaluationOptions
) -> tuple[Column, BundleDetails]:
    """Measure everything that the data allows.

    Raises:
        EvaluationImpossible: the images, labels and vocabulary do not suffice for a measure.
    """
    truth, vocabulary = data.truth, data.vocabulary
    evaluation = evaluate(truth, vocabulary, data.taggable, data.nearest_kinds, data.hierarchy)
    unfitted = truth.take(~embedded.for_fitting)
    calibration = bundle.manifest.calibration
    text, tags = _curve(calibration.text_to_image), _curve(calibration.tags)
    bars = search_effects(unfitted, vocabulary, _foreign(data, options), text, calibration.min_relevance)
    by_text = text_pairs(unfitted, vocabulary, np.random.default_rng(0))
    by_tag = tag_pairs(unfitted, vocabulary, data.taggable)
    left_out, tags_kept = tag_effects(by_tag, tags, calibration.min_tag_relevance)
    details = BundleDetails(
        model=bundle.manifest.id,
        searches=evaluation.searches,
        bars=bars,
        min_relevance=calibration.min_relevance,
        text_reliability=reliability(text, by_text),
        tag_reliability=reliability(tags, by_tag),
        similarities=histogram(by_text),
        nearest={word: nearest_words(word, vocabulary) for word in NEAREST_OF},
        pairs=tuple(correlate(name, pairs, vocabulary) for name, pairs in options.pairs.items()),
        hubs=hubness(vocabulary),
        zero_shot=None if options.unseen is None else measure_zero_shot(truth, vocabulary, options.unseen),
    )
    of_tags = {"wrong_tags_left_out": left_out, "right_tags_kept": tags_kept}
    metrics = evaluation.metrics() | _of_details(details) | of_tags
    return Column(bundle.manifest.id, "bundle", len(truth.labels), metrics), details


def _of_details(details: BundleDetails) -> dict[str, float]:
    return {
        "unanswerable_empty": details.bars.empty,
        "right_on_top": details.bars.on_top,
        "right_in_five": details.bars.in_five,
        "right_images_kept": details.bars.kept,
        **_error("text", details.text_reliability),
        **_error("tag", details.tag_reliability),
        "hubness_skewness": details.hubs.skewness,
        "hubness_greatest": float(details.hubs.greatest),
        **{f"{PAIRS_PREFIX}{pairs.name}": pairs.correlation for pairs in details.pairs},
        **(details.zero_shot.metrics() if details.zero_shot else {}),
    }


def _error(name: str, found: Reliability | None) -> dict[str, float]:
    return {} if found is None else {f"{name}_calibration_error": found.error}


def _foreign(data: EvaluationData, options: EvaluationOptions) -> list[str]:
    """Return words that no image matches, of the half that chooses no threshold; only the most frequent ones."""
    tags = taggable_words(data.vocabulary, data.taggable)
    unfitted = [tag for tag, fitted in zip(tags, word_halves(tags), strict=True) if not fitted][:_FOREIGN_WORDS]
    classes = data.truth.classes
    if options.wordnet:
        return list(words_of_other_things(unfitted, classes, options.wordnet))
    return list(far_words(unfitted, classes, data.vocabulary))


def _curve(logistic: Logistic) -> LogisticCurve:
    return LogisticCurve(logistic.slope, logistic.offset)


@dataclass(frozen=True)
class Teacher:
    """A pretrained classifier, the names of its outputs, and on how many images it is run; 0 is all."""

    classifier: Classifier
    outputs: tuple[str, ...]
    images: int = 0


@dataclass(frozen=True)
class ComparisonRequest:
    """A comparison to run. `bundles`: folders, the evaluated one first; `per_class`: cap on training images."""

    bundles: tuple[Path, ...]
    images: tuple[Path, ...]
    classes: tuple[ClassWords, ...]
    options: EvaluationOptions
    training: tuple[Path, ...] = ()
    per_class: int | None = None
    teacher: Teacher | None = None
    tick: Tick = field(default=lambda stage: None)

    def read(self) -> Iterator[LabelledFile]:
        """Return the images, from the first to the last."""
        return read_images(self.images)


def compare(request: ComparisonRequest) -> Report:
    """Measure everything requested.

    Raises:
        TrainerError: an input cannot be used; the message says what to do.
        ModelError: a bundle cannot be opened.
    """
    folder, *others = request.bundles
    bundle = open_bundle(folder)
    extractor = _extractor(folder) if request.training else None
    training = _training(request, extractor) if extractor else None
    embedded = _embed(request, bundle, training, extractor)
    data = evaluation_data(bundle, embedded, request.options)
    column, details = measure_bundle(bundle, embedded, data, request.options)
    columns, bundles = [column], [details]
    for other in others:
        column, details = _measure_other(request, other, training)
        columns.append(column)
        bundles.append(details)
    columns.append(_baseline("chance", data, chance(data, bundles[0].searches)))
    if training:
        columns += _feature_columns(embedded, data, training)
    if request.teacher:
        columns += _teacher_columns(request, request.teacher, embedded, data)
    note = DataNote(
        sources=tuple(path.name for path in request.images),
        images=len(embedded.truth.labels),
        classes=len(embedded.truth.classes),
        hierarchy=data.hierarchy.source,
        foreign=request.options.foreign,
        reporting=int((~embedded.for_fitting).sum()),
        unreadable=(*embedded.unreadable, *(training.unreadable if training else ())),
        trained_on=embedded.trained_on,
        unlabelled=embedded.unlabelled,
        training=len(training.names) if training else 0,
    )
    return Report(note, tuple(columns), tuple(bundles))


def _extractor(folder: Path) -> Extractor:
    manifest = peek(folder)
    return extractor_of(
        folder / manifest.backbone, manifest.input_size, manifest.feature_layer, manifest.resize, manifest.pixel_scale
    )


def _training(request: ComparisonRequest, extractor: Extractor) -> TrainingSet:
    images = read_images(request.training)
    return read_training_set(images, extractor, request.per_class, lambda: request.tick("training images"))


def _embed(
    request: ComparisonRequest, bundle: Bundle, training: TrainingSet | None, extractor: Extractor | None
) -> EmbeddedImages:
    return embed_images(
        bundle,
        request.read(),
        request.classes,
        lambda: request.tick(bundle.manifest.id),
        backbone=extractor.network if extractor else None,
        trained_on=training.digests if training else frozenset(),
    )


def _measure_other(
    request: ComparisonRequest, folder: Path, training: TrainingSet | None
) -> tuple[Column, BundleDetails]:
    bundle = open_bundle(folder)
    embedded = _embed(request, bundle, training, None)
    return measure_bundle(bundle, embedded, evaluation_data(bundle, embedded, request.options), request.options)


def _baseline(name: str, data: EvaluationData, metrics: dict[str, float]) -> Column:
    return Column(name, "baseline", len(data.truth.labels), metrics, _NOTES[name])


def _feature_columns(embedded: EmbeddedImages, data: EvaluationData, training: TrainingSet) -> list[Column]:
    position = {each.name: number for number, each in enumerate(data.truth.classes)}
    fitted = [(row, position[name]) for row, names in enumerate(training.names) for name in names if name in position]
    rows, labels = np.array(fitted, dtype=np.int64).reshape(-1, 2).T
    if len(np.unique(labels)) < 2:
        raise EvaluationImpossible("The training images show fewer than two of the classes. Check --training.")
    features = Features(embedded.features, training.features[rows], labels)
    return [_baseline(name, data, metrics) for name, metrics in feature_baselines(data, features).items()]


def _teacher_columns(
    request: ComparisonRequest, teacher: Teacher, embedded: EmbeddedImages, data: EvaluationData
) -> list[Column]:
    truth, options = data.truth, request.options
    count = min(teacher.images or len(truth.labels), len(truth.labels))
    chosen = np.linspace(0, len(truth.labels) - 1, count).astype(np.int64)
    wanted = set(embedded.positions[chosen].tolist())
    classes, vocabulary = truth.classes, data.vocabulary
    labels = output_labels(teacher.outputs, classes, vocabulary, options.nearest_kinds, options.wordnet)
    vectors = place_images(
        teacher.classifier,
        (image for number, image in enumerate(request.read()) if number in wanted),
        labels,
        vocabulary,
        options.nearest_kinds,
        lambda: request.tick("teacher"),
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
        Column(name, "baseline", count, _of_space(data, each).metrics(), note)
        for (name, each), note in zip(columns.items(), notes, strict=False)
    ]


def _of_space(data: EvaluationData, truth: Truth) -> Evaluation:
    return evaluate(truth, data.vocabulary, data.taggable, data.nearest_kinds, data.hierarchy)
