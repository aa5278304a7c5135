"""Baselines for a space: chance, and methods that need no head trained towards words.

Contract: a baseline sees the same images as the bundle, through the same backbone, and is measured by the same code;
questions that it cannot answer are left out, not counted as zero.

    chance               every order equally likely: expectations in closed form, nothing drawn
    softmax              a classifier on the backbone's features; it knows classes only, so no searches, no tags
    ConSE                the mean of the ten likeliest classes' label vectors, weighed by their probability
                         (Norouzi et al. 2014, https://arxiv.org/abs/1312.5650); it lies in the space, so it does all
    nearest class mean   the class whose training images' mean feature is nearest by angle (Mensink et al. 2013)

The softmax classifier is multinomial logistic regression on standardised features, by mini-batches and Adam (Kingma and
Ba 2015). The same features, labels and seed give the same classifier. NumPy is enough for features that are already
computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainer.labels.space import Vocabulary, unit_rows
from trainer.measures.evaluate import HIERARCHICAL, HITS, TAGS, classification, evaluate, label_targets
from trainer.measures.hierarchy import Hierarchy, near_to
from trainer.measures.ranking import (
    FIRST_PAGE,
    average_precision_by_chance,
    hit_by_chance,
    none_of,
    precision_by_chance,
    top,
)
from trainer.measures.searches_and_tags import Searches, image_precision, right_tags, taggable_words
from trainer.measures.truth import Truth

CONSE_CLASSES = 10
_CHUNK = 512
Metrics = dict[str, float]
_EPOCHS = 20
_BATCH = 256
_RATE = 2e-3
_DECAY = 1e-4
_SMALL = 1e-8
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EvaluationData:
    """The data that every column of a table is measured on. `hierarchy` is of `truth.classes`; else as `evaluate`."""

    truth: Truth
    vocabulary: Vocabulary
    taggable: NDArray[np.bool_]
    nearest_kinds: int
    hierarchy: Hierarchy


@dataclass(frozen=True)
class Features:
    """A backbone's features, (n, d), of the measured images, and of training images with their classes' numbers.

    A training image with several labels occurs once for each: the baselines know one class per image.
    """

    measured: Floats
    training: Floats
    labels: NDArray[np.int64]


def feature_baselines(data: EvaluationData, features: Features) -> dict[str, Metrics]:
    """Return the figures of softmax, ConSE and nearest class mean, by name.

    The baselines never answer with a class that no training image shows.
    """
    truth = data.truth
    probabilities = fit_softmax(features.training, features.labels, len(truth.classes))(features.measured)
    centre = features.training.mean(axis=0)
    shown, numbers = np.unique(features.labels, return_inverse=True)
    sums = np.zeros((len(shown), features.training.shape[1]), dtype=np.float32)
    np.add.at(sums, numbers, features.training - centre)
    nearness = np.full((len(truth.labels), len(truth.classes)), -np.inf, dtype=np.float32)
    measured = unit_rows(features.measured - centre)
    nearness[:, shown] = measured @ unit_rows(sums).T
    same_class = {f"image_precision@{FIRST_PAGE}": image_precision(replace(truth, vectors=measured))}
    return {
        "softmax": classification(probabilities, truth.shows, data.hierarchy),
        "ConSE": conse(data, probabilities),
        "nearest class mean": classification(nearness, truth.shows, data.hierarchy) | same_class,
    }


def conse(data: EvaluationData, probabilities: Floats) -> Metrics:
    """Return the figures of images placed by their classes' probabilities, (n, classes)."""
    targets = label_targets(data.truth, data.vocabulary, data.nearest_kinds)
    placed = replace(data.truth, vectors=conse_vectors(probabilities, targets))
    return evaluate(placed, data.vocabulary, data.taggable, data.nearest_kinds, data.hierarchy).metrics()


def conse_vectors(probabilities: Floats, targets: Floats, classes: int = CONSE_CLASSES) -> Floats:
    """Return the unit mean of the likeliest classes' vectors, (classes, dimension), weighed by probability."""
    likeliest = top(probabilities, classes)
    weights = np.take_along_axis(probabilities, likeliest, axis=1)
    return unit_rows(np.einsum("nt,ntd->nd", weights, targets[likeliest]))


def chance(data: EvaluationData, searches: Searches) -> Metrics:
    """Return the expected figures if every order is equally likely, for the queries of `searches`."""
    truth, count = data.truth, len(data.truth.classes)
    images = len(truth.labels)
    hits = {k: hit_by_chance(truth, k) for k in HITS}
    figures: Metrics = {f"hit@{k}": hit for k, hit in hits.items()} | {f"word_hit@{k}": hit for k, hit in hits.items()}
    for k in HIERARCHICAL:
        near = near_to(truth.shows, data.hierarchy, k).sum(axis=1)
        figures[f"hierarchical_precision@{k}"] = float(near.mean() / count)
    for sort, queries in searches.queries.items():
        relevant = np.array([query.relevant for query in queries])
        figures[f"{sort}_precision@{FIRST_PAGE}"] = precision_by_chance(relevant, images)
        figures[f"{sort}_map"] = float(np.mean([average_precision_by_chance(int(each), images) for each in relevant]))
    parts = np.array_split(np.arange(images), -(-images // _CHUNK))
    same = np.concatenate([truth.alike(part).sum(axis=1) for part in parts]) - 1
    if same.any():
        figures[f"image_precision@{FIRST_PAGE}"] = precision_by_chance(same[same > 0], images - 1)
    tags = taggable_words(data.vocabulary, data.taggable)
    right = right_tags(truth.classes, tags)
    counts = truth.of_classes(right[:, right.any(axis=0)]).sum(axis=1)
    for k in TAGS:
        found = [1 - none_of(int(each), len(tags), k) for each in counts]
        figures[f"tagged@{k}"] = float(np.mean(found))
    return figures


@dataclass(frozen=True)
class Softmax:
    """Statistics of the features it was fitted on, (features); weights, (features, classes); and biases, (classes)."""

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """Return the probability of each class: (n, classes)."""
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        return softmax(logits.astype(np.float32))


def softmax(logits: Floats) -> Floats:
    """Return rows of probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def fit_softmax(features: Floats, labels: NDArray[np.int64], classes: int, seed: int = 0) -> Softmax:
    """Fit to features (n, d) and labels (n), each of 0…classes − 1."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.maximum(scale, 1e-2 * float(scale.mean()) + _SMALL)
    inputs = (features - mean) / scale
    random = np.random.default_rng(seed)
    weights = np.zeros((features.shape[1] + 1, classes), dtype=np.float32)  # the last row is the biases
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    batches = -(-len(labels) // _BATCH)
    for step in range(_EPOCHS * batches):
        if step % batches == 0:
            order = random.permutation(len(labels))
        chosen = order[step % batches * _BATCH :][:_BATCH]
        x = np.concatenate([inputs[chosen], np.ones((len(chosen), 1), np.float32)], axis=1)
        error = softmax(x @ weights)
        error[np.arange(len(chosen)), labels[chosen]] -= 1
        gradient = x.T @ error / len(chosen)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        moved = first / (1 - 0.9 ** (step + 1)) / (np.sqrt(second / (1 - 0.999 ** (step + 1))) + _SMALL)
        rate = _RATE * (1 + np.cos(np.pi * step / (_EPOCHS * batches))) / 2
        weights -= (rate * (moved + _DECAY * weights)).astype(np.float32)
    return Softmax(mean, scale, weights[:-1], weights[-1])
