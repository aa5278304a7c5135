"""Fit vectors in the joint space for a classifier's classes, near the words that fit each class.

The mean of a class's words is the usual choice (ConSE, Norouzi et al. 2014, https://arxiv.org/abs/1312.5650), but the
words of a class may be scattered, and their mean may be nearer to other words. So the vectors start at the means and
are moved, without any image, to minimise three sums:

    tags     cross-entropy of the words that fit, in a softmax over all words that may be tags
    kinds    for each word, how well its similarity separates the classes it fits from the others (logistic loss)
    cosine   how far the vector has moved from its start, so that words that fit no class keep their meaning too

Besides the recipes themselves, this is the package's only module that imports Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.labels.sense_words import FittingWords
from trainer.labels.space import Vocabulary, unit_rows

_NOTHING_FITS = 1e-6


@dataclass(frozen=True)
class VectorSettings:
    """Constants of the sums and of their minimisation (Adam)."""

    own_share: float = 0.5
    scale: float = 20.0
    kinds_weight: float = 0.05
    cosine_weight: float = 5.0
    steps: int = 400
    rate: float = 3e-3


def class_vectors(
    classes: Sequence[FittingWords], vocabulary: Vocabulary, tags: Sequence[str], settings: VectorSettings
) -> NDArray[np.float32]:
    """Return unit rows (classes, dimension); zeros for a class that no word of the vocabulary fits.

    `tags`: the words that may be tags.
    """
    known = [number for number, each in enumerate(classes) if each.words]
    fitting = [classes[number] for number in known]
    moved = _moved(fitting, vocabulary, tags, settings)
    vectors = np.zeros((len(classes), moved.shape[1]), np.float32)
    vectors[known] = moved
    return vectors


def _moved(
    classes: Sequence[FittingWords], vocabulary: Vocabulary, tags: Sequence[str], settings: VectorSettings
) -> NDArray[np.float32]:
    start = np.stack([_mean(each, vocabulary) for each in classes])
    words = sorted({word for each in classes for word in each.words})
    tag_vectors, word_vectors = vocabulary.vectors(tags), vocabulary.vectors(words)
    wanted_tags = _wanted_tags(classes, tags, settings.own_share)
    has_tags = (wanted_tags.sum(axis=1) > _NOTHING_FITS).astype(np.float32)
    fits = _fits(classes, words)
    vectors = tf.Variable(start)
    slope, offsets = tf.Variable(10.0), tf.Variable(np.full(len(words), -3.0, np.float32))
    variables = [vectors, slope, offsets]
    optimizer = keras.optimizers.Adam(settings.rate)

    @tf.function  # type: ignore[untyped-decorator]
    def step() -> None:
        with tf.GradientTape() as tape:
            unit = tf.math.l2_normalize(vectors, axis=1)
            near = settings.scale * tf.matmul(unit, tag_vectors, transpose_b=True)
            tagging = tf.nn.softmax_cross_entropy_with_logits(wanted_tags, near) * has_tags
            scores = slope * tf.matmul(unit, word_vectors, transpose_b=True) + offsets
            kinds = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(fits, scores), axis=0)
            gone = 1 - tf.reduce_sum(unit * start, axis=1)
            loss = (
                tf.reduce_mean(tagging)
                + settings.kinds_weight * tf.reduce_mean(kinds)
                + settings.cosine_weight * tf.reduce_mean(gone)
            )
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for _ in range(settings.steps):
        step()
    return unit_rows(vectors.numpy())


def _mean(each: FittingWords, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Return the mean of a class's first name and its nearest kind."""
    vector: NDArray[np.float32] = unit_rows(
        vocabulary.vectors([*each.own[:1], *each.kinds[:1]] or each.further[:1]).mean(axis=0, keepdims=True)
    )[0]
    return vector


def _wanted_tags(classes: Sequence[FittingWords], tags: Sequence[str], own_share: float) -> NDArray[np.float32]:
    """Return for each class a distribution over the tags; a row of zeros if none fits."""
    column = {tag: number for number, tag in enumerate(tags)}
    wanted = np.zeros((len(classes), len(tags)), np.float32)
    for row, each in enumerate(classes):
        for words, share in ((each.own, own_share), (each.kinds, 1 - own_share)):
            places = [column[word] for word in words if word in column]
            wanted[row, places] += share / max(1, len(places))
    sums = wanted.sum(axis=1, keepdims=True)
    distribution: NDArray[np.float32] = wanted / np.maximum(sums, _NOTHING_FITS)
    return distribution


def _fits(classes: Sequence[FittingWords], words: Sequence[str]) -> NDArray[np.float32]:
    column = {word: number for number, word in enumerate(words)}
    fits = np.zeros((len(classes), len(words)), np.float32)
    for row, each in enumerate(classes):
        fits[row, [column[word] for word in each.words]] = 1
    return fits
