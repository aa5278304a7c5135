"""A bounded mapping that forgets the least recently used entry."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class RecentlyUsed(Generic[K, V]):
    """Keeps the entries that were used last, `most` of them at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[K, V] = {}  # the least recently used first

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None, and mark it as used."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._entries[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, which is not None, as the most recently used."""
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]

    def forget(self, key: K) -> None:
        """Remove a key, if it is kept."""
        self._entries.pop(key, None)
