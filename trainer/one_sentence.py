"""What every command does with an error of training: one sentence on standard error, and exit status 1."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from model.errors import ModelError
from trainer.errors import TrainerError
from trainer.starter.errors import StarterError

__all__ = ["one_sentence"]

P = ParamSpec("P")


def one_sentence(command: Callable[P, None]) -> Callable[P, None]:
    """The command, its errors told."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (TrainerError, StarterError, ModelError, FileExistsError) as error:
            print(f"trainer: {error}", file=sys.stderr)  # noqa: T201
            raise typer.Exit(1) from error

    return guarded
