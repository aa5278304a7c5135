"""Reads the metrics of a process (the text format of Prometheus)."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from semsearch.transport.tls import Tls, tls_of_environment

_SECONDS = 3.0
# A process has some thousands of samples; more is not one of ours.
_MOST_BYTES = 16 * 2**20

Labels = frozenset[tuple[str, str]]


class NoMetrics(Exception):
    """A process does not answer, or not with metrics."""


@dataclass(frozen=True)
class Scrape:
    """The samples of a process at a moment (`time.monotonic`): by name, and then by labels."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]]

    def total(self, name: str) -> float | None:
        """Return the sum of a metric over all labels; None if the process has no such metric."""
        found = self.samples.get(name)
        return None if found is None else sum(found.values())


def scrape(address: str) -> Scrape:
    """Read the metrics at host:port, encrypted as all connections of the client are.

    Raises:
        NoMetrics: There are none.
    """
    tls = tls_of_environment()
    context = (tls if isinstance(tls, Tls) else Tls()).context() if tls else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"{'https' if tls else 'http'}://{address}/metrics", timeout=_SECONDS) as response:
            text = response.read(_MOST_BYTES).decode()
        samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise NoMetrics(str(error)) from error
    return Scrape(time.monotonic(), samples)
