"""What the backbone's classifier should say of each picture: probabilities of the classes.

Contract: float32 (n, classes), rows sum to 1. A picture's own class gets most of it (label smoothing, Szegedy et al.
2015); where there is a teacher, its share goes to what the teacher says (distillation, Hinton et al. 2015,
https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMOOTHING", "Targets"]

SMOOTHING = 0.1


@dataclass(frozen=True)
class Targets:
    """The pictures' labels (n), and what a teacher says of them, (n, classes), with the share that it gets."""

    labels: NDArray[np.int64]
    classes: int
    teacher: NDArray[np.float16] | None = None
    teacher_share: float = 0.0

    def of(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """The targets of some pictures, by position."""
        targets = np.full((len(chosen), self.classes), SMOOTHING / self.classes, np.float32)
        targets[np.arange(len(chosen)), self.labels[chosen]] += 1 - SMOOTHING
        if self.teacher is None:
            return targets
        told = self.teacher[chosen].astype(np.float32)
        told /= told.sum(axis=1, keepdims=True)  # float16 rounds
        mixed: NDArray[np.float32] = (1 - self.teacher_share) * targets + self.teacher_share * told
        return mixed
