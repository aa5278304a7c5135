"""A bounded mapping that forgets the least recently used entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class RecentlyUsed(Generic[K, V]):
    """Keeps the entries that were used last, as long as their sizes add up to `most` at most."""

    def __init__(self, most: int, size: Callable[[V], int] = lambda _: 1) -> None:
        self._most = most
        self._size = size
        self._taken = 0
        self._entries: dict[K, V] = {}  # the least recently used first

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None, and mark it as used."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._entries[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, which is not None, as the most recently used, unless it is larger than all may be."""
        self.forget(key)
        if self._size(value) > self._most:
            return
        self._entries[key] = value
        self._taken += self._size(value)
        while self._taken > self._most:
            self.forget(next(iter(self._entries)))

    def forget(self, key: K) -> None:
        """Remove a key, if it is kept."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._taken -= self._size(value)
