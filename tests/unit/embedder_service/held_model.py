"""A model for tests that waits until it is released, so that nothing depends on time."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
from numpy.typing import NDArray

DEADLINE = 10.0


class HeldModel:
    """A model whose vectors are first pixels; it holds each batch until `release`, and signals its start."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Semaphore(0)
        self._gate = threading.Semaphore(0)
        self.failure: Exception | None = None

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(pixels[:, 0, 0, 0].tolist())
        self.started.release()
        assert self._gate.acquire(timeout=DEADLINE)
        if self.failure:
            raise self.failure
        return pixels[:, 0, 0, :1].astype(np.float32)

    def release(self, batches: int = 1) -> None:
        self._gate.release(batches)

    async def wait_for_start(self) -> None:
        assert await asyncio.to_thread(self.started.acquire, timeout=DEADLINE)
