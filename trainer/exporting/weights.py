"""The ways to keep weights in a bundle, as plain data, so that they can be told without TensorFlow."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Weights"]


class Weights(StrEnum):
    """How weights are kept in a bundle."""

    AS_IS = "as-is"
    FLOAT16 = "float16"
    INT8 = "int8"
