"""The scale on which a network takes pixels: 0…255 minus a mean, divided by a deviation."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray


class PixelScaleMissing(ValueError):
    """A network takes float32 pixels, but their scale was not given."""


@dataclass(frozen=True)
class PixelScale:
    """(pixel − mean) / deviation. Mean and deviation are one number each, or three for red, green and blue.

    Raises:
        ValueError: one of them is not one or three finite numbers, or a deviation is not greater than 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        for numbers in (self.mean, self.deviation):
            if len(numbers) not in (1, 3) or not all(map(isfinite, numbers)):
                raise ValueError(f"a pixel scale needs one finite number or three, not {numbers}")
        if min(self.deviation) <= 0:
            raise ValueError(f"the deviation of pixels must be greater than 0; it is {self.deviation}")

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scale uint8 pixels (…, 3) to the numbers that the network expects."""
        mean, deviation = (np.asarray(numbers, dtype=np.float32) for numbers in (self.mean, self.deviation))
        return ((pixels - mean) / deviation).astype(np.float32)
