"""When a training ends, and which epoch's head is kept.

Contract: both follow from the figures recorded and nothing else, so an interruption changes neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.fitting.settings import HeadSettings

__all__ = ["best_epoch", "is_over"]

History = Sequence[Mapping[str, Any]]
"""An entry for each epoch done, from the first; all have the figure that is watched."""


def best_epoch(history: History, settings: HeadSettings) -> int:
    """The epoch whose head is kept, of equals the first; 0 if none is done yet."""
    if not history or not settings.patience:
        return len(history)
    sign = -1 if settings.watched == "held_out_hit@1" else 1
    return 1 + min(range(len(history)), key=lambda number: sign * history[number][settings.watched])


def is_over(history: History, settings: HeadSettings) -> bool:
    """Whether all epochs are done, or so many after the best one as there is patience for."""
    done = len(history)
    waited = settings.patience and done - best_epoch(history, settings) >= settings.patience
    return done >= settings.epochs or bool(waited)
