"""Trains the last layers of a backbone together with the head, from pixels to the vectors of labels.

Contract: what is kept is the epoch with the least held-out loss, and only where that is less than before; it is written
as ``backbone.keras`` and ``head.keras`` when it is found. After every epoch a checkpoint of weights and optimiser is
written and renamed (the commit point); all randomness comes from (seed, epoch), so a training that was interrupted goes
on and ends as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer.backbones.building import save_backbone
from trainer.errors import BackboneUnusable, TrainingDiverged
from trainer.fine_tuning.blocks import leaves, train_from
from trainer.fine_tuning.pictures import Pictures
from trainer.fitting.checkpoints import newest_epoch, restore_checkpoint, write_checkpoint
from trainer.fitting.held_out import held_out_figures
from trainer.fitting.losses import Loss, make_loss
from trainer.fitting.settings import LossSettings
from trainer.keras_files import load_network
from trainer.labels.space import LabelSpace
from trainer.runs import Run

__all__ = ["FineTuneSettings", "Outcome", "fine_tune"]


@dataclass(frozen=True)
class FineTuneSettings:
    """``from_layer``: the first layer of the backbone that is trained; "" takes its ``last_blocks``.

    ``made_of``: the digests of backbone, head, pictures and words.
    """

    from_layer: str = ""
    last_blocks: int = 1
    loss: LossSettings = field(default_factory=LossSettings)
    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 1e-5
    seed: int = 0
    made_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Held-out figures before and at the best epoch: ``held_out_loss`` and ``held_out_hit@1``; the layers trained."""

    before: dict[str, float]
    best: dict[str, float]
    layers: tuple[str, ...]

    @property
    def better(self) -> bool:
        """Whether the result was kept."""
        return self.best["held_out_loss"] < self.before["held_out_loss"]


def fine_tune(
    folder: Path,
    backbone: Path,
    head: Path,
    pictures: Pictures,
    space: LabelSpace,
    settings: FineTuneSettings,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, figures: None,
) -> Outcome:
    """Train, or go on; ``on_epoch`` gets the number of epochs done and their figures, 0 those of before.

    Raises:
        BackboneUnusable: backbone and head do not fit together, or no layer can be trained.
        RunMismatch: the folder holds a run with other settings.
        TrainingDiverged: the loss is no number any more.
        NotWritten: the disk is full or refuses.
    """
    run = Run(folder, settings)
    first, last = load_network(backbone), load_network(head)
    joined = _joined(first, last)
    layers = train_from(first, settings.from_layer, settings.last_blocks)
    loss = make_loss(settings.loss, space)
    joined.compile(keras.optimizers.Adam(settings.learning_rate), loss=loss)
    joined.optimizer.build(joined.trainable_variables)
    done = newest_epoch(folder)
    if done:
        restore_checkpoint(joined, folder, done)
    else:
        run.record(0, _held_out(joined, pictures, space, loss, settings.batch_size))
    for epoch in range(done + 1, settings.epochs + 1):
        figures = _epoch(joined, pictures, settings, epoch)
        figures |= _held_out(joined, pictures, space, loss, settings.batch_size)
        if not np.isfinite([*figures.values()]).all():
            raise TrainingDiverged(
                f"The loss of epoch {epoch} is no number any more, so nothing more can be learnt. Lower the learning "
                f"rate, which is {settings.learning_rate:g}, to a tenth of it, and name another folder."
            )
        # Before the epoch is recorded: one that is done again is found to be the best again.
        if figures["held_out_loss"] < min(line["held_out_loss"] for line in run.history() if line["epoch"] < epoch):
            save_backbone(first, folder / "backbone.keras")
            save_backbone(last, folder / "head.keras")
        run.record(epoch, figures)
        write_checkpoint(joined, folder, epoch, keep=())
        on_epoch(epoch, figures)
    history = [{name: line[name] for name in ("held_out_loss", "held_out_hit@1")} for line in run.history()]
    return Outcome(history[0], min(history[1:], key=lambda each: each["held_out_loss"]), layers)


def _joined(first: Any, last: Any) -> Any:
    try:
        joined = keras.Model(first.input, last(first.output))
    except ValueError as error:
        raise BackboneUnusable(
            f"The head takes {last.input_shape[-1]} features, and the backbone gives {first.output_shape[-1]}. Give "
            "the backbone that the head was trained on."
        ) from error
    for layer in leaves(last):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return joined


def _epoch(joined: Any, pictures: Pictures, settings: FineTuneSettings, epoch: int) -> dict[str, float]:
    for number, layer in enumerate(leaves(joined)):
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:  # its state is in no checkpoint
            layer.seed_generator.state.assign([settings.seed + number, epoch])
    batches = [  # the mean of each alone: Keras forgets those before
        (len(labels), float(joined.train_on_batch(pixels, labels)))
        for pixels, labels in pictures.training(settings.batch_size, settings.seed, epoch)
    ]
    return {"loss": sum(count * loss for count, loss in batches) / sum(count for count, _ in batches)}


def _held_out(joined: Any, pictures: Pictures, space: LabelSpace, loss: Loss, batch_size: int) -> dict[str, float]:
    batches = [(joined.predict_on_batch(pixels), labels) for pixels, labels in pictures.held_out(batch_size)]
    outputs, labels = (np.concatenate(each) for each in zip(*batches, strict=True))
    if not np.isfinite(outputs).all():
        return {"held_out_loss": np.nan, "held_out_hit@1": np.nan}
    return held_out_figures(outputs, labels, space, loss)
