"""Which layers of a backbone are trained: its last blocks, by the names that keras.applications gives layers.

Contract: a block begins behind the last layer of the block before it, so what joins its branches belongs to it whatever
it is called. Batch normalisation is never trained: it keeps the statistics that the other layers were trained with, as
those of a few small batches would spoil it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from trainer.errors import BackboneUnusable

__all__ = ["leaves", "train_from", "where_last_blocks_begin"]

# VGG, Xception, EfficientNet, MobileNetV2, InceptionResNet; ResNet, DenseNet; ConvNeXt; MobileNetV3; Inception.
_BLOCK = re.compile(r"block_?\d+[a-z]?(_\d+)?(?=_)|conv\d+_block\d+|.*stage_\d+_block_\d+|expanded_conv_\d+|mixed\d+$")
_MOBILENET = re.compile(r"conv_(?:dw|pw|pad)_(\d+)")
_SHOWN = 8


def where_last_blocks_begin(names: Sequence[str], blocks: int) -> int:
    """The place among the names of a network's layers, in their order, at which its last blocks begin.

    Raises:
        BackboneUnusable: the names tell of no blocks, or of fewer.
    """
    ends: dict[str, int] = {}
    for place, name in enumerate(names):
        if (block := _block_of(name)) is not None:
            ends[block] = place
    if len(ends) <= blocks:
        told = f"tell of {len(ends)} blocks only" if ends else "tell of no blocks"
        raise BackboneUnusable(
            f"The names of the backbone's layers {told}, so its last {blocks} cannot be told from the rest. Name the "
            f"layer from which on it is to be trained, such as {', '.join(names[-_SHOWN:])}: --from-layer"
        )
    return sorted(ends.values())[-1 - blocks] + 1


def train_from(backbone: keras.Model, from_layer: str = "", last_blocks: int = 1) -> tuple[str, ...]:
    """Let the backbone's layers be trained from one on, the others not; the names of those that are.

    ``from_layer``: the first; "" takes the last blocks.

    Raises:
        BackboneUnusable: there is no such layer, or nothing from it on that can be trained.
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
            f"From {names[begins]!r} on the backbone has nothing that can be trained. Name an earlier layer: "
            "--from-layer"
        )
    return trained


def leaves(layer: Any) -> Iterator[Any]:
    """Yields the layers of a network in their order, those of networks inside it in place of these."""
    if isinstance(layer, keras.Model):
        for each in layer.layers:
            yield from leaves(each)
    else:
        yield layer


def _block_of(name: str) -> str | None:
    if found := _MOBILENET.match(name):
        return found[1]
    return found[0] if (found := _BLOCK.match(name)) else None
