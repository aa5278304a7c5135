"""What a space is compared with: chance, and what needs no head trained towards words.

Contract: a baseline sees the same images as the bundle, through the same backbone, and is measured by the same code;
what it has no answer to is left out, not counted as nothing.

    chance               every order equally likely: expectations in closed form, nothing drawn
    softmax              a classifier on the backbone's features; it knows classes only, so no searches, no tags
    ConSE                the mean of the ten likeliest classes' label vectors, weighed by their probability
                         (Norouzi et al. 2014, https://arxiv.org/abs/1312.5650); it lies in the space, so it does all
    nearest class mean   the class whose training images' mean feature is nearest by angle (Mensink et al. 2013)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.softmax import fit_softmax
from trainer.labels.class_words import Vocabulary
from trainer.labels.space import unit_rows
from trainer.measures.evaluate import HIERARCHICAL, HITS, TAGS, classification, evaluate, label_targets
from trainer.measures.hierarchy import Hierarchy, near_to
from trainer.measures.random_orders import average_precision_by_chance, none_of, precision_by_chance
from trainer.measures.ranking import top
from trainer.measures.searches import FIRST_PAGE, Searches, image_precision
from trainer.measures.tagging import right_tags, taggable_words
from trainer.measures.truth import Truth

__all__ = ["Features", "Ground", "chance", "conse", "conse_vectors", "feature_baselines", "hit_by_chance"]

CONSE_CLASSES = 10
_CHUNK = 512

Floats = NDArray[np.float32]
Metrics = dict[str, float]


@dataclass(frozen=True)
class Ground:
    """What every column of a table is measured on. ``hierarchy`` is of ``truth.classes``; the rest as ``evaluate``."""

    truth: Truth
    vocabulary: Vocabulary
    taggable: NDArray[np.bool_]
    nearest_kinds: int
    hierarchy: Hierarchy


@dataclass(frozen=True)
class Features:
    """A backbone's features, (n, d), of the measured images, and of training images with their classes' numbers.

    A training image with several labels is there once for each: what is fitted knows one class an image.
    """

    measured: Floats
    training: Floats
    labels: NDArray[np.int64]


def feature_baselines(ground: Ground, features: Features) -> dict[str, Metrics]:
    """Softmax, ConSE and nearest class mean, by name. Classes that no training image shows are never their answer."""
    truth = ground.truth
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
        "softmax": classification(probabilities, truth.shows, ground.hierarchy),
        "ConSE": conse(ground, probabilities),
        "nearest class mean": classification(nearness, truth.shows, ground.hierarchy) | same_class,
    }


def conse(ground: Ground, probabilities: Floats) -> Metrics:
    """The figures of images placed by their classes' probabilities, (n, classes)."""
    targets = label_targets(ground.truth, ground.vocabulary, ground.nearest_kinds)
    placed = replace(ground.truth, vectors=conse_vectors(probabilities, targets))
    return evaluate(placed, ground.vocabulary, ground.taggable, ground.nearest_kinds, ground.hierarchy).metrics()


def conse_vectors(probabilities: Floats, targets: Floats, classes: int = CONSE_CLASSES) -> Floats:
    """The unit mean of the likeliest classes' vectors, (classes, dimension), weighed by probability."""
    likeliest = top(probabilities, classes)
    weights = np.take_along_axis(probabilities, likeliest, axis=1)
    return unit_rows(np.einsum("nt,ntd->nd", weights, targets[likeliest]))


def chance(ground: Ground, searches: Searches) -> Metrics:
    """What figures come to if every order is equally likely. ``searches``: whose queries are asked."""
    truth, count = ground.truth, len(ground.truth.classes)
    images = len(truth.labels)
    hits = {k: hit_by_chance(truth, k) for k in HITS}
    figures: Metrics = {f"hit@{k}": hit for k, hit in hits.items()} | {f"word_hit@{k}": hit for k, hit in hits.items()}
    for k in HIERARCHICAL:
        near = near_to(truth.shows, ground.hierarchy, k).sum(axis=1)
        figures[f"hierarchical_precision@{k}"] = float(near.mean() / count)
    for sort, queries in searches.queries.items():
        relevant = np.array([query.relevant for query in queries])
        figures[f"{sort}_precision@{FIRST_PAGE}"] = precision_by_chance(relevant, images)
        figures[f"{sort}_map"] = float(np.mean([average_precision_by_chance(int(each), images) for each in relevant]))
    parts = np.array_split(np.arange(images), -(-images // _CHUNK))
    same = np.concatenate([truth.alike(part).sum(axis=1) for part in parts]) - 1
    if same.any():
        figures[f"image_precision@{FIRST_PAGE}"] = precision_by_chance(same[same > 0], images - 1)
    tags = taggable_words(ground.vocabulary, ground.taggable)
    right = right_tags(truth.classes, tags)
    counts = truth.of_classes(right[:, right.any(axis=0)]).sum(axis=1)
    for k in TAGS:
        found = [1 - none_of(int(each), len(tags), k) for each in counts]
        figures[f"tagged@{k}"] = float(np.mean(found))
    return figures


def hit_by_chance(truth: Truth, k: int) -> float:
    """hit@k of a random order of the classes: of an image with one label, k of them."""
    classes = len(truth.classes)
    labels, images = np.unique(truth.shows.sum(axis=1), return_counts=True)
    orders, drawn = comb(classes, min(k, classes)), min(k, classes)
    hits = [(orders - comb(classes - int(each), drawn)) / orders for each in labels]
    return float(np.dot(hits, images / len(truth.labels)))
