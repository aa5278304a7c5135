"""What a .tflite network takes pixels as: as the file's own metadata has it, or else as it is told by options.

Options win over metadata. What the file says is written into a bundle's manifest, so that the embedder need not look.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.networks.pixel_scale import PixelScale
from trainer.errors import BackboneUnusable

__all__ = ["PixelMean", "PixelStd", "pixel_scale_of"]

PixelMean = Annotated[
    str,
    typer.Option(
        help="Of a .tflite file that takes float32 and does not say: (pixel - mean) / std. One number or three."
    ),
]
PixelStd = Annotated[str, typer.Option(help="The std of that: one number, or three between commas (red,green,blue).")]


def pixel_scale_of(backbone: Path, mean: str = "", std: str = "") -> PixelScale | None:
    """The scale that options tell, or else the file; None where pixels go in as they are, or nothing says it.

    Raises:
        BackboneUnusable: the options are no numbers, or only one of them is given.
    """
    if mean or std:
        try:
            return PixelScale(_numbers(mean), _numbers(std))
        except ValueError as error:
            raise BackboneUnusable(
                f"--pixel-mean {mean!r} and --pixel-std {std!r} tell no scale ({error}). Give both, each as one number "
                "or as three between commas."
            ) from error
    if backbone.suffix != ".tflite" or not backbone.exists():
        return None
    from trainer.backbones.tflite_metadata import normalisation_in

    return normalisation_in(backbone)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))
