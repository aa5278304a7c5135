"""The head of two parts: what a classifier knows of a picture, and what captions taught.

    v = unit(s + λ · unit(g(features)))
    s = Σ p(class) · class vector
    λ = share · (1 − |s|) ^ power

The first part is ConSE (Norouzi et al. 2014). Where the classifier is sure, its sum is long and leads; where it is not,
the vectors of many classes cancel each other, and g leads: one hidden layer that captions taught. A backbone without a
classifier has the second part alone.

Words are turned by one matrix, so that what pictures show and what words mean meet halfway. The class vectors are
turned with them. The matrix commutes with means, so queries work as they did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.caption_head.settings import CaptionHeadSettings

__all__ = ["CaptionHead", "Statistics", "TrainedHead"]

_LEAST_LEFT = 1e-3  # of 1 − |sum|, so that its power has a slope everywhere
_LEAST_LENGTH = 1e-12

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of each feature, (features,): what features are standardised by."""

    mean: Vectors
    deviation: Vectors


@dataclass(frozen=True)
class TrainedHead:
    """A head that maps a backbone's row to vectors, not normalised, and the matrix that turns words: (d, d)."""

    head: Any
    turn: Vectors


class CaptionHead:
    """The variables of a head, and what it computes with them while it is trained."""

    def __init__(
        self, settings: CaptionHeadSettings, statistics: Statistics, classes: Vectors | None, dimension: int
    ) -> None:
        """Make an untrained head.

        Args:
            settings: Its shape.
            statistics: Of the features of the training set.
            classes: (classes, dimension), unit rows; None where the backbone's row ends without logits.
            dimension: Numbers in a vector.
        """
        self._settings = settings
        self._statistics = statistics
        self._classes = None if classes is None else tf.constant(classes)
        features = len(statistics.mean)
        start = keras.initializers.GlorotUniform(seed=settings.seed)
        self.hidden = tf.Variable(start((features, settings.hidden)), name="hidden")
        self.hidden_bias = tf.Variable(tf.zeros(settings.hidden), name="hidden_bias")
        self.space = tf.Variable(start((settings.hidden, dimension)), name="space")
        self.space_bias = tf.Variable(tf.zeros(dimension), name="space_bias")
        self.turn = tf.Variable(tf.eye(dimension), name="turn")

    @property
    def variables(self) -> list[tf.Variable]:
        """All that is trained here."""
        return [self.hidden, self.hidden_bias, self.space, self.space_bias, self.turn]

    def standardised(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the features of a backbone's rows as the hidden layer takes them."""
        features = rows[:, : len(self._statistics.mean)]
        return (features - self._statistics.mean) / self._statistics.deviation

    def vectors(self, rows: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Return unit vectors of a backbone's rows, with dropout by two seeds, int32 (2, 2)."""
        settings = self._settings
        dropout = tf.nn.experimental.stateless_dropout
        seen = dropout(self.standardised(rows), settings.feature_dropout, seeds[0])
        inner = dropout(tf.nn.relu(seen @ self.hidden + self.hidden_bias), settings.dropout, seeds[1])
        own = tf.math.l2_normalize(inner @ self.space + self.space_bias, axis=1)
        if self._classes is None:
            return own
        known = tf.nn.softmax(rows[:, len(self._statistics.mean) :]) @ self.turned(self._classes)
        left = tf.maximum(1 - tf.norm(known, axis=1, keepdims=True), _LEAST_LEFT)
        return tf.math.l2_normalize(known + settings.caption_share * left**settings.class_power * own, axis=1)

    def turned(self, words: tf.Tensor) -> tf.Tensor:
        """Return words' vectors (n, dimension) where pictures are to meet them, unit rows."""
        return tf.math.l2_normalize(words @ self.turn, axis=1)

    def trained(self) -> TrainedHead:
        """Return the head as a Keras network that serves: standardisation is folded into its first layer."""
        mean, deviation = self._statistics.mean.astype(np.float64), self._statistics.deviation.astype(np.float64)
        hidden = self.hidden.numpy().astype(np.float64) / deviation[:, None]
        bias = self.hidden_bias.numpy() - mean @ hidden
        features, width = hidden.shape
        dimension = self.space.shape[1]
        classes = 0 if self._classes is None else len(self._classes)
        row = keras.Input((features + classes,), name="row")
        inner = keras.layers.Dense(width, activation="relu", name="hidden")
        space = keras.layers.Dense(dimension, name="space")
        own = keras.layers.UnitNormalization(name="own")(space(inner(row[:, :features])))
        outputs, weights = own, [(inner, [hidden, bias]), (space, [self.space.numpy(), self.space_bias.numpy()])]
        if self._classes is not None:
            mean_of_classes = keras.layers.Dense(dimension, use_bias=False, name="classes")
            known = mean_of_classes(keras.layers.Softmax(name="probabilities")(row[:, features:]))
            weights.append((mean_of_classes, [self.turned(self._classes).numpy()]))
            length = keras.ops.sqrt(keras.ops.sum(known * known, axis=1, keepdims=True) + _LEAST_LENGTH)
            left = keras.ops.maximum(1.0 - length, _LEAST_LEFT)
            if self._settings.class_power != 1:
                left = keras.ops.power(left, self._settings.class_power)
            outputs = known + self._settings.caption_share * left * own
        head = keras.Model(row, outputs, name="head")
        for layer, values in weights:
            layer.set_weights([np.asarray(value, np.float32) for value in values])
        return TrainedHead(head, self.turn.numpy())
