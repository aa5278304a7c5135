"""Where a training stands: a file of weights and optimiser for one of the last epochs, and one for the best.

Contract: a checkpoint is there whole or not at all; it is the commit point of its epoch and those before it, whose
figures were recorded before it. The newest is where an interrupted training goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from serving.durable_files import replacing
from trainer.errors import NotWritten

__all__ = ["copy_checkpoints", "newest_epoch", "restore_checkpoint", "write_checkpoint"]


def write_checkpoint(head: Any, folder: Path, epoch: int, keep: Collection[int]) -> None:
    """Write an epoch's checkpoint, then remove all others but those to keep.

    Raises:
        NotWritten: the disk is full or refuses; the checkpoint before it stays.
    """
    try:
        with replacing(_path(folder, epoch)) as written:
            head.save_weights(written)
    except OSError as error:
        raise NotWritten(
            f"The checkpoint of epoch {epoch} cannot be written into {folder} ({error}). Make room: the same command "
            "goes on from the epoch before."
        ) from error
    for old in _checkpoints(folder):
        if old not in {epoch, *keep}:
            _path(folder, old).unlink()


def newest_epoch(folder: Path) -> int:
    """The last epoch that has a checkpoint, or 0."""
    return max(_checkpoints(folder), default=0)


def restore_checkpoint(head: Any, folder: Path, epoch: int) -> None:
    """Load the weights and optimiser of an epoch."""
    head.load_weights(_path(folder, epoch))


def copy_checkpoints(source: Path, target: Path) -> None:
    """Put another run's checkpoints into a folder, the newest last, which is what makes a training go on there."""
    for epoch in sorted(_checkpoints(source)):
        with replacing(_path(target, epoch)) as written:
            shutil.copyfile(_path(source, epoch), written)


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:04d}.weights.h5"


def _checkpoints(folder: Path) -> list[int]:
    return [int(path.name.split("-")[1].split(".")[0]) for path in folder.glob("epoch-*.weights.h5")]
