"""The damage that is found, for tests: an index may have repaired it before they ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY
from structlog.testing import capture_logs


def damage_count() -> float:
    """Return how often damage was found in this process."""
    return REGISTRY.get_sample_value("semsearch_index_damages_total") or 0


@contextmanager
def damage_found() -> Iterator[list[str]]:
    """Yield a list that has all damage found in the `with` block once that has ended."""
    found: list[str] = []
    with capture_logs() as logs:
        yield found
    found += [line["problem"] for line in logs if line["event"] == "damage found"]
