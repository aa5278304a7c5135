"""`semsearch top`: the figures between two scrapes, and what is shown of processes that answer and of others."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from semsearch.top.figures import figures, quantile
from semsearch.top.scraping import NoMetrics, Scrape, scrape

from tests.services.client_stack import semsearch

FIRST = """# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_service="v1.S",grpc_method="Search",grpc_code="OK"} 100
grpc_server_handling_seconds_bucket{grpc_service="v1.S",grpc_method="Search",le="0.1"} 100
grpc_server_handling_seconds_bucket{grpc_service="v1.S",grpc_method="Search",le="0.5"} 100
grpc_server_handling_seconds_bucket{grpc_service="v1.S",grpc_method="Search",le="+Inf"} 100
semsearch_embedder_queued_images 3
process_resident_memory_bytes 1e9
"""
SECOND = """# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_service="v1.S",grpc_method="Search",grpc_code="OK"} 280
grpc_server_handled_total{grpc_service="v1.S",grpc_method="Search",grpc_code="NOT_FOUND"} 8
grpc_server_handled_total{grpc_service="v1.S",grpc_method="Search",grpc_code="INTERNAL"} 2
grpc_server_handled_total{grpc_service="v1.S",grpc_method="Search",grpc_code="RESOURCE_EXHAUSTED"} 10
grpc_server_in_flight{grpc_service="v1.S",grpc_method="Search"} 4
grpc_server_handling_seconds_bucket{grpc_service="v1.S",grpc_method="Search",le="0.1"} 290
grpc_server_handling_seconds_bucket{grpc_service="v1.S",grpc_method="Search",le="0.5"} 300
grpc_server_handling_seconds_bucket{grpc_service="v1.S",grpc_method="Search",le="+Inf"} 300
semsearch_embedder_queued_images 7
process_resident_memory_bytes 1e9
"""


class Metrics:
    """A metrics port that answers with the next text; the last one stays."""

    def __init__(self, *texts: str) -> None:
        remaining = list(texts)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = (remaining.pop(0) if len(remaining) > 1 else remaining[0]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    served = Metrics(FIRST, SECOND)
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_the_figures_between_two_scrapes(metrics: Metrics) -> None:
    before, after = scrape(metrics.address), scrape(metrics.address)
    found = figures(Scrape(10.0, before.samples), Scrape(12.0, after.samples))
    calls = found.all_calls
    assert (calls.calls, calls.failed, calls.refused, calls.in_progress) == (100.0, 1.0, 5.0, 4)
    assert calls.p50 == pytest.approx(0.1 * 100 / 190)
    assert calls.p99 == pytest.approx(0.1 + 0.4 * 8 / 10)
    assert found.methods == {"S/Search": calls}
    assert (found.queued, found.memory_bytes) == (7, 10**9)


def test_a_process_that_was_started_anew_counts_from_its_start(metrics: Metrics) -> None:
    first, second = scrape(metrics.address), scrape(metrics.address)
    found = figures(Scrape(0.0, second.samples), Scrape(10.0, first.samples))
    assert found.all_calls.calls == 10.0


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [({}, None), ({1.0: 0, math.inf: 0}, None), ({1.0: 0, math.inf: 5}, 1.0), ({1.0: 10, math.inf: 10}, 0.5)],
)
def test_quantiles(buckets: dict[float, float], expected: float | None) -> None:
    assert quantile(0.5, buckets) == expected


def test_once_prints_a_row_for_each_process_and_each_method(metrics: Metrics) -> None:
    done = semsearch("", "top", "--once", "--interval=0.1", f"--metrics={metrics.address}", "--metrics=127.0.0.1:1")
    assert done.status == 0
    assert metrics.address in done.out
    assert "S/Search" in done.out
    assert "no answer" in done.out


def test_json_has_the_figures_of_each_process(metrics: Metrics) -> None:
    done = semsearch("", "top", "--json", "--interval=0.1", f"--metrics={metrics.address}")
    found = json.loads(done.out)[metrics.address]
    assert found["queued"] == 7
    assert found["methods"]["S/Search"]["in_progress"] == 4


def test_without_any_answer_the_command_fails_and_says_where_it_asked() -> None:
    done = semsearch("", "top", "--once", "--metrics=127.0.0.1:1")
    assert done.status == 1
    assert "127.0.0.1:1" in done.err
    with pytest.raises(NoMetrics):
        scrape("127.0.0.1:1")
