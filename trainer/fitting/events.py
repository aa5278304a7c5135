"""A run's figures for TensorBoard: ``tensorboard --logdir RUN``.

Contract: each epoch that was recorded is there once. A run that goes on writes them anew, because what an interrupted
one left may tell of an epoch that is trained again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import tensorflow as tf

__all__ = ["Events"]


class Events:
    """The event file of a run; a context manager."""

    def __init__(self, folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
        """``history``: the epochs done, as `Run.history` gives them."""
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = tf.summary.create_file_writer(str(folder))
        for entry in history:
            self.add(entry["epoch"], {name: value for name, value in entry.items() if name != "epoch"})

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch; they can be seen when it returns."""
        with self._writer.as_default(step=epoch):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
