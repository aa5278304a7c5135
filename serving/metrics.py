"""Prometheus metrics of every service, with the names and labels of the usual gRPC middleware.

Services define further metrics with prometheus_client, named `semsearch_<service>_…`. Times of recorded calls have the
trace id as an exemplar, which Prometheus reads if it asks for the OpenMetrics format.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from serving import tracing

# Bounds of histograms of seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
HANDLED = Counter(
    "grpc_server_handled", "Calls that ended, by status code.", ["grpc_service", "grpc_method", "grpc_code"]
)
IN_FLIGHT = Gauge("grpc_server_in_flight", "Calls that are being answered.", ["grpc_service", "grpc_method"])
SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Seconds from a call's arrival to its end.",
    ["grpc_service", "grpc_method"],
    buckets=BUCKETS,
)


SERVING = Gauge("semsearch_service_serving", "1 if a service says that it serves, otherwise 0.", ["service"])
WORK_IS_WELL = Gauge("semsearch_background_work_well", "1 if background work is well, 0 while it fails.", ["work"])
DISK_FREE = Gauge("semsearch_disk_free_bytes", "Free bytes of the disk that has the data folder.")
DISK_SIZE = Gauge("semsearch_disk_size_bytes", "Size of the disk that has the data folder.")


def watch_disk(folder: Path) -> None:
    """Report the disk of a folder from now on."""
    DISK_FREE.set_function(lambda: shutil.disk_usage(_existing(folder)).free)
    DISK_SIZE.set_function(lambda: shutil.disk_usage(_existing(folder)).total)


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def exemplar() -> dict[str, str] | None:
    """Return the exemplar of what is measured now: the trace id of the current call, if it is recorded."""
    trace_id = tracing.recorded_trace_id()
    return {"trace_id": trace_id} if trace_id else None
