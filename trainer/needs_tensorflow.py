"""What every command does first that runs a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from model.networks.loading_tensorflow import load_tensorflow

__all__ = ["needs_tensorflow"]

P = ParamSpec("P")


def needs_tensorflow(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with TensorFlow loaded before its own imports load it."""

    @wraps(command)
    def prepared(*args: P.args, **kwargs: P.kwargs) -> None:
        load_tensorflow()
        command(*args, **kwargs)

    return prepared
