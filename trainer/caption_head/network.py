"""A head with two parts: one from a classifier's probabilities, one trained on captions.

    v = unit(s + λ · unit(g(features)))
    s = Σ p(class) · class vector
    λ = share · (1 − |s₁|) ^ power, where s₁ is s of the probabilities without sharpening

The first part is ConSE (Norouzi et al. 2014). Where the classifier is sure, its sum is long and dominates; where it is
not, the vectors of many classes cancel out, and g dominates: one hidden layer trained on captions, or the mean of a few
such layers trained separately. A backbone without a classifier has only the second part.

One matrix turns all words, so that pictures and words meet halfway; each word that captions train moves a little
further. The class vectors are turned with them. The matrix commutes with means, so queries work as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.bundle.manifest import TAGGABLE, VECTORS, WORDS
from model.bundle.reading import WordTable
from model.errors import storage_errors
from trainer.errors import TrainingSetUnusable
from trainer.labels.space import unit_rows

_LEAST_LEFT = 1e-3  # of 1 − |sum|, so that its power has a slope everywhere
_LEAST_LENGTH = 1e-12
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class CaptionHeadSettings:
    """Everything that determines the trained weights, besides the pictures and the words.

    Attributes:
        members: Heads trained separately, with different random numbers; their mean is served.
        hidden: Width of the hidden layer of each.
        dropout: Share of the hidden units that a step leaves out.
        feature_dropout: Share of the features that a step leaves out.
        class_sharpness: Factor of the classes' logits, so that the likeliest classes dominate.
        class_power: How fast a picture's own part shrinks as the classes become sure: its length is `caption_share` ·
            (1 − length of the classes' sum) ^ `class_power`.
        caption_share: Length of a picture's own part where the classes are entirely unsure.
        words_weight: Weight of the words' loss, relative to the captions'.
        pictures_weight: Weight of the loss of pictures of words.
        turn_weight: Penalty on the matrix's distance from a rotation, which would keep all angles between words.
        move_weight: Penalty on how far the trained words move from where the matrix puts them.
        least_right: A word takes part in the words' loss if it is right for at least this number of pictures.
        batch: Captioned pictures in a step.
        worded_batch: Pictures of words in a step, from each set.
    """

    members: int = 2
    hidden: int = 1024
    dropout: float = 0.6
    feature_dropout: float = 0.3
    class_sharpness: float = 1.4
    class_power: float = 1.0
    caption_share: float = 1.5
    words_weight: float = 0.15
    pictures_weight: float = 0.05
    turn_weight: float = 10.0
    move_weight: float = 5.0
    least_right: int = 8
    batch: int = 256
    worded_batch: int = 48
    epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("dropout", "feature_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingSetUnusable(f"{name} is a share from 0 to less than 1, not {getattr(self, name)}.")
        for name in ("members", "hidden", "batch", "worded_batch", "epochs", "least_right", "learning_rate"):
            if getattr(self, name) <= 0:
                raise TrainingSetUnusable(f"{name} must be greater than 0; it is {getattr(self, name)}.")


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of each feature, (features,), for standardising."""

    mean: Vectors
    deviation: Vectors


@dataclass(frozen=True)
class TrainedHead:
    """A head, and the changes to words that were trained with it.

    Attributes:
        head: As `serving_head` makes it.
        turn: (dimension, dimension), the matrix that turns all words.
        moved_words: The words that pictures trained.
        moves: (moved words, dimension), the additional move of each.
    """

    head: Any
    turn: Vectors
    moved_words: tuple[str, ...]
    moves: Vectors


class CaptionHead:
    """The variables of one member of a head, and its computation during training."""

    def __init__(
        self,
        settings: CaptionHeadSettings,
        statistics: Statistics,
        classes: Vectors | None,
        dimension: int,
        *,
        member: int = 0,
        turn: Vectors | None = None,
    ) -> None:
        """Make an untrained head.

        Args:
            settings: Its shape.
            statistics: Of the features of the training set.
            classes: (classes, dimension), unit rows; None where the backbone's row ends without logits.
            dimension: Numbers in a vector.
            member: Which of the head's members this is.
            turn: (dimension, dimension), the matrix on the words; if given, it is not trained.
        """
        self._settings = settings
        self._statistics = statistics
        self._classes = None if classes is None else tf.constant(classes)
        features = len(statistics.mean)
        start = keras.initializers.GlorotUniform(seed=settings.seed + member)
        self.hidden = tf.Variable(start((features, settings.hidden)), name="hidden")
        self.hidden_bias = tf.Variable(tf.zeros(settings.hidden), name="hidden_bias")
        self.space = tf.Variable(start((settings.hidden, dimension)), name="space")
        self.space_bias = tf.Variable(tf.zeros(dimension), name="space_bias")
        self.turn = tf.Variable(tf.eye(dimension) if turn is None else turn, trainable=turn is None, name="turn")

    @property
    def variables(self) -> list[tf.Variable]:
        """All variables that are trained."""
        own = [self.hidden, self.hidden_bias, self.space, self.space_bias]
        return [*own, self.turn] if self.turn.trainable else own

    def vectors(self, rows: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Return unit vectors of a backbone's rows, with dropout by two seeds, int32 (2, 2)."""
        settings, statistics = self._settings, self._statistics
        features = len(statistics.mean)
        dropout = tf.nn.experimental.stateless_dropout
        seen = dropout(
            (rows[:, :features] - statistics.mean) / statistics.deviation, settings.feature_dropout, seeds[0]
        )
        inner = dropout(tf.nn.relu(seen @ self.hidden + self.hidden_bias), settings.dropout, seeds[1])
        own = tf.math.l2_normalize(inner @ self.space + self.space_bias, axis=1)
        if self._classes is None:
            return own
        logits, classes = rows[:, features:], self.turned(self._classes)
        left = tf.maximum(1 - tf.norm(tf.nn.softmax(logits) @ classes, axis=1, keepdims=True), _LEAST_LEFT)
        known = tf.nn.softmax(settings.class_sharpness * logits) @ classes
        return tf.math.l2_normalize(known + settings.caption_share * left**settings.class_power * own, axis=1)

    def turned(self, words: tf.Tensor) -> tf.Tensor:
        """Return words' vectors (n, dimension) where pictures are to meet them, unit rows."""
        return tf.math.l2_normalize(words @ self.turn, axis=1)

    def layers(self) -> tuple[list[Vectors], list[Vectors]]:
        """Return weight and bias of the hidden layer, standardisation folded in, and of the layer into the space."""
        mean, deviation = self._statistics.mean.astype(np.float64), self._statistics.deviation.astype(np.float64)
        hidden = self.hidden.numpy().astype(np.float64) / deviation[:, None]
        bias = self.hidden_bias.numpy() - mean @ hidden
        return [hidden.astype(np.float32), bias.astype(np.float32)], [self.space.numpy(), self.space_bias.numpy()]


def serving_head(members: Sequence[CaptionHead], classes: Vectors | None, settings: CaptionHeadSettings) -> Any:
    """Return a Keras network of trained members: a backbone's rows in, vectors out, not normalised.

    `classes`: (classes, dimension), as they were given to the members; None where there are none.
    """
    layers = [member.layers() for member in members]
    features = len(layers[0][0][0])
    dimension = layers[0][1][0].shape[1]
    row = keras.Input((features + (0 if classes is None else len(classes)),), name="row")
    weights: list[tuple[Any, list[Vectors]]] = []

    def dense(width: int, values: list[Vectors], name: str, activation: str | None = None) -> Any:
        layer = keras.layers.Dense(width, activation=activation, use_bias=len(values) > 1, name=name)
        weights.append((layer, values))
        return layer

    parts = []
    for number, (hidden, space) in enumerate(layers):
        inner = dense(settings.hidden, hidden, f"hidden_{number}", "relu")(row[:, :features])
        parts.append(keras.layers.UnitNormalization()(dense(dimension, space, f"space_{number}")(inner)))
    mean = keras.layers.Add()(parts) if len(parts) > 1 else parts[0]
    own = keras.layers.UnitNormalization(name="own")(mean)
    outputs = own
    if classes is not None:
        mean_of_classes = dense(dimension, [members[0].turned(tf.constant(classes)).numpy()], "classes")
        logits = row[:, features:]
        unsharpened = mean_of_classes(keras.layers.Softmax(name="probabilities")(logits))
        length = keras.ops.sqrt(keras.ops.sum(unsharpened * unsharpened, axis=1, keepdims=True) + _LEAST_LENGTH)
        left = keras.ops.maximum(1.0 - length, _LEAST_LEFT)
        if settings.class_power != 1:
            left = keras.ops.power(left, settings.class_power)
        known = mean_of_classes(keras.layers.Softmax(name="sharpened")(settings.class_sharpness * logits))
        known = keras.layers.Identity(name="known")(known)
        outputs = known + settings.caption_share * left * own
    head = keras.Model(row, outputs, name="head")
    for layer, values in weights:
        layer.set_weights(values)
    return head


def move_classes(head: Any, towards: Vectors, share: float) -> None:
    """Move the class vectors of a head that `serving_head` made with classes, in place.

    Training moves words, but not the class vectors. Vectors fitted again to the moved words suit them better, but the
    rest of the head was trained with the old vectors, so they move only part of the way.

    Args:
        head: The head.
        towards: (classes, dimension), unit rows; rows of zeros are left where they are.
        share: Part of the way, 0 to 1.
    """
    layer = head.get_layer("classes")
    [before] = layer.get_weights()
    known, moved = towards.any(axis=1), before.copy()
    moved[known] = unit_rows(share * towards[known] + (1 - share) * before[known])
    layer.set_weights([moved])


def parts_of(head: Any) -> dict[str, Any]:
    """Return the two parts of a head that `serving_head` made with classes, as heads of their own."""
    parts = {"classes-alone": "known", "captions-alone": "own"}
    return {name: keras.Model(head.input, head.get_layer(layer).output) for name, layer in parts.items()}


def turned_vectors(words: WordTable, trained: TrainedHead) -> NDArray[np.float32]:
    """Return the vectors of all words where the head's pictures meet them, unit rows."""
    turned: NDArray[np.float32] = unit_rows(words.vectors) @ trained.turn
    row_of = {word: row for row, word in enumerate(words.words)}
    turned[[row_of[word] for word in trained.moved_words]] += trained.moves
    return unit_rows(turned)


def write_turned_words(folder: Path, words: WordTable, trained: TrainedHead, taggable: NDArray[np.bool_]) -> None:
    """Write words.txt, words.npy and last taggable.npy, which says which words may be tags: (words,).

    Raises:
        StorageFull: the folder cannot be written.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WORDS).write_bytes("".join(f"{word}\n" for word in words.words).encode())
        np.save(folder / VECTORS, turned_vectors(words, trained).astype(np.float16))
        np.save(folder / TAGGABLE, taggable)
