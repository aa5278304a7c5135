"""Metrics of publishing and of following what is published."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

PUBLISHED_BYTES = Counter("semsearch_index_published_bytes", "Bytes of objects published for read replicas.")
PUBLISH_SECONDS = Gauge("semsearch_index_publish_seconds", "Seconds that the last confirmation to replicas took.")
FETCHED_BYTES = Counter("semsearch_index_fetched_bytes", "Bytes of objects that this read replica fetched.")
REFETCHED = Counter("semsearch_index_refetched", "Damaged files that this read replica fetched again.")
AGE_SECONDS = Gauge(
    "semsearch_index_age_seconds", "Seconds since the writer last confirmed what this replica has; -1 if unknown."
)
