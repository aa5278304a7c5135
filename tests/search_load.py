"""Searches without a pause, by the default client, while services are restarted, stopped or cut off.

Each search has words that no other had, so that no vector is remembered and every search needs all services.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from semsearch import Client, SemsearchError

WORDS = ("apple", "banana", "dog", "car", "tree", "fruit", "animal", "table")  # of the bundle `tiny`


@dataclass
class SearchLoad:
    """What became of the searches: those that were answered, the errors of the others, and the longest wait.

    `check` returns whether an answer is right.
    """

    check: Callable[[list[str]], bool] = bool
    answered: int = 0
    wrong: int = 0
    errors: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, address: str, threads: int = 4) -> Iterator[None]:
        """Search in `threads` threads while the context is open, each with a client of its own."""
        workers = [threading.Thread(target=self._search, args=(address,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            self._stop.set()
            for worker in workers:
                worker.join()

    def wait_for_more(self, count: int, seconds: float) -> None:
        """Wait until that many more searches have been answered."""
        wanted, give_up = self.answered + count, time.monotonic() + seconds
        while self.answered < wanted:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{self.answered} of {wanted} searches were answered; errors: {self.errors[:3]}")
            self._stop.wait(0.01)

    def _search(self, address: str) -> None:
        with Client(address) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    found = client.search_by_text(self._query(), min_relevance=0.0, page_size=10)
                except SemsearchError as error:
                    with self._lock:
                        self.errors.append(f"{type(error).__name__}: {error}")
                    continue
                with self._lock:
                    self.answered += 1
                    self.wrong += not self.check([match.image.id for match in found])
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)

    def _query(self) -> str:
        with self._lock:
            number = next(self._numbers)
        weight = 0.1 + number / 1e6
        return f"{WORDS[number % len(WORDS)]} {WORDS[number // len(WORDS) % len(WORDS)]}^{weight:.6f}"
