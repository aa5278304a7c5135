"""Metrics of the computation of maps."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RUNNING = Gauge("semsearch_gateway_map_computations_running", "Maps that are being computed.")
COMPUTATIONS = Counter("semsearch_gateway_map_computations", "Maps whose computation ended, by how.", ["outcome"])
SECONDS = Histogram(
    "semsearch_gateway_map_computation_seconds",
    "Seconds that the computation of a map took.",
    buckets=(1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600),
)
