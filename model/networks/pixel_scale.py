"""What a network takes pixels as: numbers of 0…255, less a mean, by a deviation."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

__all__ = ["PixelScale", "PixelScaleMissing"]


class PixelScaleMissing(ValueError):
    """A network takes float32 pixels, and nothing says on which scale."""


@dataclass(frozen=True)
class PixelScale:
    """(pixel − mean) / deviation, each one number, or three: of red, green and blue.

    Raises:
        ValueError: they are not one or three finite numbers, or a deviation is not greater than 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        for numbers in (self.mean, self.deviation):
            if len(numbers) not in (1, 3) or not all(map(isfinite, numbers)):
                raise ValueError(f"the scale of pixels is one number or three, not {numbers}")
        if min(self.deviation) <= 0:
            raise ValueError(f"pixels are divided by their deviation, which {self.deviation} cannot be")

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scale uint8 pixels (…, 3) to the numbers that the network expects."""
        mean, deviation = (np.asarray(numbers, dtype=np.float32) for numbers in (self.mean, self.deviation))
        return ((pixels - mean) / deviation).astype(np.float32)
