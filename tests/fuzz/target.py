"""A fuzz target: code that reads bytes of others, the errors that it may raise, and files to begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`run` raises an exception if the code under test treats its input wrongly.

    `seeds` returns inputs that are right, beside those of the corpus; the fuzzer changes them. An input has at most
    `max_bytes`, and may take `seconds`.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]] = list
    max_bytes: int = 4_096
    seconds: int = 10
