"""Compares the answers of a collection that changes with exact search over what must and what may be in it.

A call sees some state between its start and its end. So an image must be found if it was acknowledged before the call
began and its deletion was not sent before it ended. It may be found if it was sent before the call ended and its
deletion was not acknowledged before it began. Each image is added and deleted at most once, under an id of its own; a
failed request may be repeated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# The vector of an image depends a little on its batch, and float32 rounds small distances.
TOLERANCE = 3e-3
_SHOWN = 3


class Oracle:
    """Knows the vectors of all images of a test, and when each was added and deleted; threads may share it."""

    def __init__(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self.ids = list(vectors)
        self._row = {each: row for row, each in enumerate(self.ids)}
        self._vectors = np.stack([vectors[each] for each in self.ids]).astype(np.float64)
        # Seconds of the monotonic clock.
        self._sent, self._acknowledged, self._deletion_sent, self._deleted = np.full((4, len(self.ids)), np.inf)
        self._lock = threading.Lock()

    def vector(self, image_id: str) -> Floats:
        """Return the vector of an image."""
        return self._vectors[self._row[image_id]]

    @contextmanager
    def adding(self, ids: Sequence[str]) -> Iterator[None]:
        """Note when images are sent, and when they are acknowledged: when the block ends without an error."""
        self._note(self._sent, ids)
        yield
        self._note(self._acknowledged, ids)

    @contextmanager
    def deleting(self, ids: Sequence[str]) -> Iterator[None]:
        """Note when a deletion is sent, and when it is acknowledged: when the block ends without an error."""
        self._note(self._deletion_sent, ids)
        yield
        self._note(self._deleted, ids)

    def _note(self, times: Floats, ids: Sequence[str]) -> None:
        now = time.monotonic()
        with self._lock:  # the first time counts, also if a request is repeated
            for each in ids:
                times[self._row[each]] = min(times[self._row[each]], now)

    def present(self) -> list[str]:
        """Return the images that are there for certain: acknowledged, and nobody began to delete them."""
        there = np.isfinite(self._acknowledged) & np.isinf(self._deletion_sent)
        return [self.ids[row] for row in np.flatnonzero(there)]

    def has(self, ids: Sequence[str]) -> bool:
        """Return whether all of these were acknowledged."""
        return all(np.isfinite(self._acknowledged[self._row[each]]) for each in ids)

    def lacks(self, image_id: str) -> bool:
        """Return whether the deletion of an image was acknowledged."""
        return bool(np.isfinite(self._deleted[self._row[image_id]]))

    def absence(self, image_id: str, start: float, end: float) -> str:
        """Say that an answer lacks an image that must be there; "" if it may be gone."""
        return f"{image_id} is missing" if self._must(start, end)[self._row[image_id]] else ""

    def difference(self, listed: Sequence[str]) -> str:
        """Say how a list of all images differs from what must be there while nothing changes; "" if it does not."""
        now = time.monotonic()
        return self._difference(listed, self._must(now, now), self._may(now, now))

    def fault(self, query: Floats, matches: Sequence[tuple[str, float]], wanted: int, start: float, end: float) -> str:
        """Say what is wrong with the answer to a search for the `wanted` nearest images; "" if nothing is."""
        distances = np.linalg.norm(self._vectors - query, axis=1)
        for image_id, distance in matches:
            row = self._row.get(image_id)
            if row is not None and abs(distances[row] - distance) > TOLERANCE:
                return f"{image_id} is at {distances[row]:.4f}, not at {distance:.4f}"
        # What lies clearly before the last match must be there; a short answer must have everything.
        last = matches[-1][1] if len(matches) == wanted else np.inf
        must = self._must(start, end) & (distances < last - TOLERANCE)
        found = self._difference([image_id for image_id, _ in matches], must, self._may(start, end))
        return f"{found}; {self._explanation(matches, must, distances, start)}" if found else ""

    def _explanation(
        self, matches: Sequence[tuple[str, float]], must: NDArray[np.bool_], distances: Floats, start: float
    ) -> str:
        """Return what helps to find out why images are missing."""
        missing = sorted({self.ids[row] for row in np.flatnonzero(must)} - {image_id for image_id, _ in matches})
        rows = [self._row[image_id] for image_id in missing[:_SHOWN]]
        texts = [
            f"{self.ids[row]} is at {distances[row]:.4f}, acknowledged {start - self._acknowledged[row]:.2f} s before"
            for row in rows
        ]
        return ", ".join([*texts, "found: " + " ".join(f"{name} {distance:.4f}" for name, distance in matches)])

    def _must(self, start: float, end: float) -> NDArray[np.bool_]:
        return (self._acknowledged <= start) & (self._deletion_sent > end)

    def _may(self, start: float, end: float) -> NDArray[np.bool_]:
        return (self._sent <= end) & (self._deleted > start)

    def _difference(self, found: Sequence[str], must: NDArray[np.bool_], may: NDArray[np.bool_]) -> str:
        missing = {self.ids[row] for row in np.flatnonzero(must)} - set(found)
        surplus = set(found) - {self.ids[row] for row in np.flatnonzero(may)}
        double = len(found) - len(set(found))
        faults = {"missing": missing, "not there any more or never": surplus}
        texts = [f"{len(ids)} {what}: {', '.join(sorted(ids)[:_SHOWN])}" for what, ids in faults.items() if ids]
        return "; ".join([*texts, *([f"{double} twice"] if double else [])])
