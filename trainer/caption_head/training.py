"""Train a caption head.

Three losses are added, all on the vector that is served, the sum of both parts:

    captions   symmetric contrastive loss (Radford et al. 2021): in a batch, each caption should find its own picture,
               and each picture its caption; the temperature is learned words      a word that captions agree on should
               be near the picture, a word of none far from it (logistic loss) pictures   the same for pictures of a
               closed list of words, such as scenes

and two penalties on the words: the distance of the matrix that turns all of them from a rotation, and the distance of
the trained words from where the matrix puts them.

The first member of a head learns where words go; the others are trained with these positions fixed, so that all lie
in one space.

Contract: all randomness follows from (seed, member, epoch, step), and a checkpoint holds every variable, so an
interrupted run ends with the same head as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.bundle.reading import WordTable
from serving.durable_files import replacing
from trainer.caption_head.network import CaptionHead, CaptionHeadSettings, Statistics, TrainedHead, serving_head
from trainer.caption_head.pictures import CaptionedFeatures, WordedFeatures
from trainer.errors import NotWritten, TrainingDiverged, TrainingSetUnusable
from trainer.labels.caption_words import RIGHT
from trainer.labels.space import vocabulary_of
from trainer.runs import Run

_TEMPERATURE = 20.0  # its initial value
_SLOPE, _OFFSET = 10.0, -3.0  # of the words' logistic curves, likewise
_WARM_UP = 50  # steps
_CHUNK = 1024

OnEpoch = Callable[[int, dict[str, float]], None]


class _Batch(NamedTuple):
    """Rows of captioned pictures with a caption each, and of pictures of words, in the order of their sets."""

    rows: NDArray[np.float32]
    captions: NDArray[np.float32]
    caption_words: NDArray[np.uint8]
    words: NDArray[np.int8]
    worded_rows: tuple[NDArray[np.float32], ...]
    worded_shown: tuple[NDArray[np.int8], ...]


def fit_caption_head(
    run: Run,
    captioned: CaptionedFeatures,
    worded: Sequence[WordedFeatures],
    words: WordTable,
    classes: NDArray[np.float32] | None,
    settings: CaptionHeadSettings,
    on_epoch: OnEpoch = lambda epoch, figures: None,
) -> TrainedHead:
    """Train a head, continuing from the run's checkpoint.

    Args:
        run: The run's folder.
        captioned: Captioned pictures.
        worded: Sets of pictures of words; may be empty.
        words: The vocabulary.
        classes: (classes, dimension), vectors of the classes whose logits end a backbone's row; None where none do.
        settings: Shape and training.
        on_epoch: Gets the number of epochs done, over all members, and the mean losses of the last.

    Raises:
        TrainingSetUnusable: there are fewer captioned pictures than make a batch.
        TrainingDiverged: the loss is no longer a finite number; the last checkpoint is kept.
        NotWritten: the disk is full or refuses.
    """
    if len(captioned.seen) < settings.batch:
        raise TrainingSetUnusable(
            f"There are {len(captioned.seen):,} captioned pictures, and a step takes {settings.batch}. Give more "
            "pictures, or a smaller batch."
        )
    trainings: list[_Training] = []
    for member in range(settings.members):
        training = _Training(captioned, worded, words, classes, settings, member, trainings[0] if trainings else None)
        checkpoint = run.folder / f"member-{member}.npz"
        done, before = training.restore(checkpoint), member * settings.epochs
        for epoch in range(done + 1, settings.epochs + 1):
            figures = training.run_epoch(epoch)
            if not np.isfinite(figures["loss"]):
                raise TrainingDiverged(
                    f"The loss of epoch {epoch} is not a number. Train with a lower learning rate than "
                    f"{settings.learning_rate:g}; what was trained before is in {run.folder}."
                )
            run.record(before + epoch, figures)
            training.save(checkpoint, epoch)
            on_epoch(before + epoch, figures)
        trainings.append(training)
    head = serving_head([training.head for training in trainings], classes, settings)
    first = trainings[0]
    return TrainedHead(head, first.head.turn.numpy(), first.moved_words, first.moves)


class _Training:
    """The variables, the data and the step of one training."""

    def __init__(
        self,
        captioned: CaptionedFeatures,
        worded: Sequence[WordedFeatures],
        words: WordTable,
        classes: NDArray[np.float32] | None,
        settings: CaptionHeadSettings,
        member: int,
        first: _Training | None,
    ) -> None:
        self._captioned, self._worded, self._settings = captioned, worded, settings
        self._seed = settings.seed + member
        features = captioned.seen.dimension - (0 if classes is None else len(classes))
        self._statistics: Statistics = first._statistics if first else _statistics(captioned, features)
        self.head: CaptionHead = CaptionHead(
            settings,
            self._statistics,
            classes,
            words.vectors.shape[1],
            member=member,
            turn=first.head.turn.numpy() if first else None,
        )
        vocabulary = vocabulary_of(words)
        self._kept = np.flatnonzero((captioned.words.shown == RIGHT).sum(axis=0) >= settings.least_right)
        lists = [[captioned.words.words[column] for column in self._kept], *(each.words for each in worded)]
        place_of = {word: place for place, word in enumerate(lists[0])}
        # A word without a move gets the last row, of zeros.
        self._move_of = [
            tf.constant([place_of.get(word, len(place_of)) for word in words], tf.int32) for words in lists
        ]
        self._word_vectors = [tf.constant(vocabulary.vectors(words)) for words in lists]
        self._moves = tf.Variable(
            first.moves if first else tf.zeros((len(self._kept), words.vectors.shape[1])), trainable=first is None
        )
        self._offsets = [tf.Variable(tf.fill([len(words)], _OFFSET)) for words in lists]
        self._slope = tf.Variable(_SLOPE)
        self._log_temperature = tf.Variable(np.log(_TEMPERATURE).astype(np.float32))
        moved = [] if first else [self._moves]
        self._variables = [*self.head.variables, *moved, self._slope, self._log_temperature, *self._offsets]
        self._steps = len(captioned.seen) // settings.batch
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, self._steps * settings.epochs, warmup_target=settings.learning_rate, warmup_steps=_WARM_UP
        )
        self._optimiser = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
        decayed = {id(self.head.hidden), id(self.head.space)}
        self._optimiser.exclude_from_weight_decay(
            var_list=[each for each in self._variables if id(each) not in decayed]
        )
        self._optimiser.build(self._variables)
        self._step = tf.function(self._eager_step, reduce_retracing=True)
        order = np.argsort(captioned.owners, kind="stable")
        self._of_picture = np.split(order, np.searchsorted(captioned.owners[order], np.arange(1, len(captioned.paths))))

    @property
    def moves(self) -> NDArray[np.float32]:
        """The trained words' moves from where the matrix puts them: (moved words, dimension)."""
        moves: NDArray[np.float32] = self._moves.numpy()
        return moves

    @property
    def moved_words(self) -> tuple[str, ...]:
        """The words that pictures train."""
        return tuple(self._captioned.words.words[column] for column in self._kept)

    def run_epoch(self, epoch: int) -> dict[str, float]:
        """Run the steps of an epoch and return the mean of each loss."""
        sums = np.zeros(4)
        for step, batch in enumerate(self._batches(epoch)):
            seeds = tf.constant([[self._seed, 4 * (epoch * self._steps + step) + part] for part in range(2)])
            sums += self._step(batch, seeds).numpy()
        return dict(zip(("loss", "captions", "words", "pictures"), (sums / self._steps).tolist(), strict=True))

    def _batches(self, epoch: int) -> Iterator[_Batch]:
        settings, captioned = self._settings, self._captioned
        random = np.random.default_rng((self._seed, epoch))
        with_captions = np.array([place for place, own in enumerate(self._of_picture) if len(own)])
        order = random.permutation(with_captions)
        for step in range(self._steps):
            chosen = np.take(order, np.arange(step * settings.batch, (step + 1) * settings.batch), mode="wrap")
            views = random.integers(captioned.seen.views, size=len(chosen))
            captions = np.array([random.choice(self._of_picture[place]) for place in chosen], np.int64)
            rows, shown = [], []
            for each in self._worded:
                places = random.integers(len(each.seen), size=settings.worded_batch)
                rows.append(each.seen.take(places, random.integers(each.seen.views, size=len(places))))
                shown.append(each.shown[places])
            yield _Batch(
                captioned.seen.take(chosen, views),
                captioned.captions[captions],
                captioned.caption_words[np.ix_(captions, self._kept)],
                captioned.words.shown[np.ix_(chosen, self._kept)],
                tuple(rows),
                tuple(shown),
            )

    def _eager_step(self, batch: _Batch, seeds: tf.Tensor) -> tf.Tensor:
        settings = self._settings
        with tf.GradientTape() as tape:
            sizes = [rows.shape[0] for rows in (batch.rows, *batch.worded_rows)]
            vectors = self.head.vectors(tf.concat([batch.rows, *batch.worded_rows], axis=0), seeds)
            shown, *worded = tf.split(vectors, sizes)
            asked = batch.captions @ self.head.turn + tf.cast(batch.caption_words, tf.float32) @ self._moves
            captions = self._contrastive(shown, tf.math.l2_normalize(asked, axis=1))
            words = self._words_loss(shown, 0, batch.words)
            moved = tf.reduce_sum(self._moves**2) / max(1, len(self._kept))
            pictures = tf.add_n(
                [tf.zeros([])]
                + [
                    self._words_loss(seen, number, right)
                    for number, (seen, right) in enumerate(zip(worded, batch.worded_shown, strict=True), start=1)
                ]
            )
            turn = self.head.turn
            from_rotation = tf.reduce_mean(
                tf.reduce_sum((tf.transpose(turn) @ turn - tf.eye(turn.shape[0])) ** 2, axis=1)
            )
            loss = (
                captions
                + settings.words_weight * words
                + settings.pictures_weight * pictures
                + settings.turn_weight * from_rotation
                + settings.move_weight * moved
            )
        gradients = tape.gradient(loss, self._variables)
        self._optimiser.apply_gradients(zip(gradients, self._variables, strict=True))
        return tf.stack([loss, captions, words, pictures])

    def _contrastive(self, pictures: tf.Tensor, captions: tf.Tensor) -> tf.Tensor:
        logits = tf.exp(self._log_temperature) * pictures @ tf.transpose(captions)
        own = tf.range(pictures.shape[0])
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits
        return tf.reduce_mean(loss(own, logits)) + tf.reduce_mean(loss(own, tf.transpose(logits)))

    def _words_loss(self, pictures: tf.Tensor, number: int, shown: tf.Tensor) -> tf.Tensor:
        words = self._word_vectors[number] @ self.head.turn + tf.gather(
            tf.concat([self._moves, tf.zeros((1, self._moves.shape[1]))], axis=0), self._move_of[number]
        )
        near = pictures @ tf.transpose(tf.math.l2_normalize(words, axis=1))
        losses = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(shown == RIGHT, tf.float32), self._slope * near + self._offsets[number]
        )
        return tf.reduce_mean(tf.reduce_sum(tf.where(shown >= 0, losses, 0.0), axis=1))

    def save(self, path: Path, epoch: int) -> None:
        """Write every variable, whole or not at all.

        Raises:
            NotWritten: the disk is full or refuses.
        """
        try:
            with replacing(path) as written, written.open("wb") as file:
                np.savez(file, epoch, *(each.numpy() for each in self._all_variables()))
        except OSError as error:
            raise NotWritten(
                f"The checkpoint of epoch {epoch} cannot be written to {path} ({error.strerror}). Make room: the same "
                "command continues from the epoch before."
            ) from error

    def restore(self, path: Path) -> int:
        """Read every variable, if there is a checkpoint; return the epochs that are done."""
        if not path.exists():
            return 0
        with np.load(path) as kept:
            epoch, *values = (kept[name] for name in kept.files)
        for variable, value in zip(self._all_variables(), values, strict=True):
            variable.assign(value)
        return int(epoch)

    def _all_variables(self) -> list[Any]:
        return [*self._variables, *(each.value for each in self._optimiser.variables)]


def _statistics(captioned: CaptionedFeatures, features: int) -> Statistics:
    """Return mean and deviation over the pictures in their first view, in float64 and in chunks."""
    count, total, squares = len(captioned.seen), np.zeros(features), np.zeros(features)
    for start in range(0, count, _CHUNK):
        part = captioned.seen.take(np.arange(start, min(start + _CHUNK, count)))[:, :features].astype(np.float64)
        total += part.sum(axis=0)
        squares += (part**2).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0)) + 1e-3
    return Statistics(mean.astype(np.float32), deviation.astype(np.float32))
