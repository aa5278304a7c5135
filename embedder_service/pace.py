"""How fast images are embedded, which says whether further ones can be done in time."""

from __future__ import annotations

# The means cover about a hundred images: several batches, each of which ends at once.
_MEMORY = 0.99


class Pace:
    """The mean time from one finished image to the next, while there is work."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._images = 0.0
        self._last = 0.0

    def needed_seconds(self, images: int) -> float:
        """Return how long a number of images will take; 0 if nothing is known yet."""
        return images * self._seconds / self._images if self._images else 0.0

    def resume(self, now: float) -> None:
        """Record that work arrives after there was none."""
        self._last = now

    def record(self, now: float) -> None:
        """Record an image that is finished."""
        self._seconds = _MEMORY * self._seconds + now - self._last
        self._images = _MEMORY * self._images + 1
        self._last = now
