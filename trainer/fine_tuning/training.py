"""Train the last layers of a backbone together with the head, from pixels to the vectors of labels.

Contract: the epoch with the least held-out loss is kept, and only if that is less than before; it is written as
`backbone.keras` and `head.keras` when it is found. After every epoch a checkpoint of weights and optimiser is written
and renamed (the commit point); all randomness comes from (seed, epoch), so an interrupted training ends with the same
result as an uninterrupted one.

The trained layers are the backbone's last blocks, by the names that keras.applications gives layers. A block begins
after the last layer of the block before it, so the layer that joins its branches belongs to it whatever its name. Batch
normalisation is never trained: it keeps the statistics that the other layers were trained with, since those of a few
small batches are too noisy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer.backbones.building import save_backbone
from trainer.errors import BackboneUnusable, TrainingDiverged
from trainer.fine_tuning.pictures import Pictures
from trainer.fitting.batches import held_out_figures
from trainer.fitting.optimisation import Loss, make_loss
from trainer.fitting.settings import LossSettings
from trainer.keras_files import load_network
from trainer.labels.space import LabelSpace
from trainer.runs import Run, newest_epoch, restore_checkpoint, write_checkpoint

# VGG, Xception, EfficientNet, MobileNetV2, InceptionResNet; ResNet, DenseNet; ConvNeXt; MobileNetV3; Inception.
_BLOCK = re.compile(r"block_?\d+[a-z]?(_\d+)?(?=_)|conv\d+_block\d+|.*stage_\d+_block_\d+|expanded_conv_\d+|mixed\d+$")
_MOBILENET = re.compile(r"conv_(?:dw|pw|pad)_(\d+)")
_SHOWN = 8


@dataclass(frozen=True)
class FineTuneSettings:
    """`from_layer`: the first layer of the backbone that is trained; "" takes its `last_blocks`.

    `made_of`: the digests of backbone, head, pictures and words.
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
    """Held-out figures before and at the best epoch: `held_out_loss` and `held_out_hit@1`; the layers trained."""

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
    """Train, or continue; `on_epoch` gets the number of epochs done, from 0 (before training), and the figures.

    Raises:
        BackboneUnusable: backbone and head do not fit together, or no layer can be trained.
        RunMismatch: the folder holds a run with other settings.
        TrainingDiverged: the loss is no longer a finite number.
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
                f"The loss of epoch {epoch} is not a number, so training cannot continue. Lower the learning "
                f"rate, which is {settings.learning_rate:g}, to a tenth of it, and name another folder."
            )
        # Before the epoch is recorded, so that an epoch done again can be the best again.
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
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:  # its state is not in checkpoints
            layer.seed_generator.state.assign([settings.seed + number, epoch])
    batches = [  # each batch's own mean: Keras resets it between calls
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


def where_last_blocks_begin(names: Sequence[str], blocks: int) -> int:
    """Return the place among the names of a network's layers, in their order, at which its last blocks begin.

    Raises:
        BackboneUnusable: the names show no blocks, or fewer.
    """
    ends: dict[str, int] = {}
    for place, name in enumerate(names):
        if (block := _block_of(name)) is not None:
            ends[block] = place
    if len(ends) <= blocks:
        how = f"show {len(ends)} blocks only" if ends else "show no blocks"
        raise BackboneUnusable(
            f"The names of the backbone's layers {how}, so its last {blocks} cannot be identified. Name the "
            f"first layer to train, such as {', '.join(names[-_SHOWN:])}: --from-layer"
        )
    return sorted(ends.values())[-1 - blocks] + 1


def train_from(backbone: keras.Model, from_layer: str = "", last_blocks: int = 1) -> tuple[str, ...]:
    """Make only the backbone's layers from one on trainable, and return their names.

    `from_layer`: the first; "" takes the last blocks.

    Raises:
        BackboneUnusable: the layer does not exist, or no layer from it on can be trained.
    """
    layers = list(leaves(backbone))
    names = [layer.name for layer in layers]
    if from_layer and from_layer not in names:
        raise BackboneUnusable(
            f"The backbone has no layer {from_layer!r}. Its last are {', '.join(names[-_SHOWN:])}: --from-layer"
        )
    begins = names.index(from_layer) if from_layer else where_last_blocks_begin(names, last_blocks)
    backbone.trainable = True
    for place, layer in enumerate(layers):
        layer.trainable = place >= begins and not isinstance(layer, keras.layers.BatchNormalization)
    trained = tuple(layer.name for layer in layers if layer.trainable_weights)
    if not trained:
        raise BackboneUnusable(
            f"From {names[begins]!r} on, the backbone has nothing that can be trained. Name an earlier layer: "
            "--from-layer"
        )
    return trained


def leaves(layer: Any) -> Iterator[Any]:
    """Yield the layers of a network in their order; a network inside it is replaced by its own layers."""
    if isinstance(layer, keras.Model):
        for each in layer.layers:
            yield from leaves(each)
    else:
        yield layer


def _block_of(name: str) -> str | None:
    if found := _MOBILENET.match(name):
        return found[1]
    return found[0] if (found := _BLOCK.match(name)) else None
