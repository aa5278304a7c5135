"""A real suite is watched: traces over all hops, metrics with exemplars, logs, and the audit log."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from semsearch.v1 import gallery_service_pb2 as gallery_pb
from semsearch.v1 import gallery_service_pb2_grpc as gallery_grpc
from semsearch.v1 import search_service_pb2 as search_pb
from semsearch.v1 import search_service_pb2_grpc as search_grpc

from tests.bundles import write_test_bundle
from tests.collector import Collector
from tests.monitoring import alerts, metrics_of, panels
from tests.ports import free_ports
from tests.services.client_stack import semsearch
from tests.services.whole_suite import WholeSuite
from tests.unit.gateway.doubles import picture

DEADLINE = 60.0
# They must appear in no log, no trace and no audit log.
SECRET_WORD, SECRET_TOKEN, SECRET_NAME = "zanzibar", "hunter2token", "passport-of-anna"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT_SPAN = "00f067aa0ba902b7"
SEARCH = "semsearch.v1.SearchService/SearchByText"
EMBED = "semsearch.embedder.v1.EmbedderService/EmbedText"
FIND = "semsearch.index.v1.IndexService/Search"


@dataclass(frozen=True)
class Watched:
    """A running suite, its collector, and what the calls below have left in its files."""

    collector: Collector
    channel: grpc.Channel
    data: Path
    metrics_ports: range

    def metrics(self, port: int) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            text: str = response.read().decode()
            return text


def metadata(trace_id: str) -> list[tuple[str, str]]:
    return [("traceparent", f"00-{trace_id}-{CLIENT_SPAN}-01"), ("authorization", f"Bearer {SECRET_TOKEN}")]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    data = tmp_path_factory.mktemp("data")
    ports = free_ports(3)
    with Collector() as collector:
        suite = WholeSuite(
            data,
            data / "backups",
            write_test_bundle(tmp_path_factory.mktemp("bundle"), tflite=True),
            [
                f"--otlp-endpoint={collector.address}",
                "--trace-ratio=0",
                f"--audit-log={data / 'audit' / 'audit.jsonl'}",
                "--log-format=json",
            ],
            metrics_ports=ports,
        )
        try:
            suite.start_all()
            with grpc.insecure_channel(suite.address) as channel:
                watched = Watched(collector, channel, data, ports)
                use(watched)
                yield watched
        finally:
            suite.stop()


def use(watched: Watched) -> None:
    """Upload, search, fail and delete, with secrets in every request."""
    gallery = gallery_grpc.GalleryServiceStub(watched.channel)
    search = search_grpc.SearchServiceStub(watched.channel)
    requests = [
        gallery_pb.IndexImagesRequest(config=gallery_pb.IndexImagesConfig(collection="")),
        *(
            gallery_pb.IndexImagesRequest(
                image=gallery_pb.ImageUpload(sequence=number, content=content, id=f"{SECRET_NAME}-{number}.png")
            )
            for number, content in enumerate([picture((200, 30, 30)), picture((30, 200, 30)), b"no picture"], 1)
        ),
    ]
    list(gallery.IndexImages(iter(requests), timeout=DEADLINE, metadata=metadata("a" * 32)))
    search.SearchByText(
        search_pb.SearchByTextRequest(query=f"dog {SECRET_WORD}"), timeout=DEADLINE, metadata=metadata(TRACE)
    )
    for bad in (
        lambda: search.SearchByText(
            search_pb.SearchByTextRequest(query=f'"{SECRET_WORD}', page_token=SECRET_WORD), metadata=metadata("b" * 32)
        ),
        lambda: search.SearchByImage(
            search_pb.SearchByImageRequest(content=SECRET_WORD.encode()), metadata=metadata("c" * 32)
        ),
        lambda: gallery.GetImage(gallery_pb.GetImageRequest(id=SECRET_NAME), metadata=metadata("d" * 32)),
        lambda: gallery.DeleteCollection(
            gallery_pb.DeleteCollectionRequest(collection_id="no-such"), metadata=metadata("e" * 32)
        ),
    ):
        with pytest.raises(grpc.RpcError):
            bad()
    gallery.DeleteImages(
        gallery_pb.DeleteImagesRequest(ids=[f"{SECRET_NAME}-1.png"]), timeout=DEADLINE, metadata=metadata("f" * 32)
    )


def parents(spans: list[Span] | tuple[Span, ...], name: str, kind: Span.SpanKind.ValueType) -> list[str]:
    """Return the names of the ancestors of a span, the nearest first."""
    by_id = {span.span_id: span for span in spans}
    [span] = [each for each in spans if each.name == name and each.kind == kind]
    found = []
    while span.parent_span_id in by_id:
        span = by_id[span.parent_span_id]
        found.append(f"{'> ' if span.kind == Span.SPAN_KIND_CLIENT else ''}{span.name}")
    assert span.parent_span_id.hex() == CLIENT_SPAN
    return found


def test_a_trace_goes_from_the_client_through_all_hops_to_the_model_and_the_index(watched: Watched) -> None:
    both = [EMBED, FIND] * 2  # of the caller and of the server
    spans = watched.collector.wait_for([SEARCH, *both, "embed text", "search index"], TRACE, DEADLINE)
    assert parents(list(spans), "embed text", Span.SPAN_KIND_INTERNAL) == [EMBED, f"> {EMBED}", SEARCH]
    assert parents(list(spans), "search index", Span.SPAN_KIND_INTERNAL) == [FIND, f"> {FIND}", SEARCH]
    assert watched.collector.services == {"semsearch-gateway", "semsearch-embedder", "semsearch-index"}
    for span in spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano


def test_an_upload_shows_decoding_waiting_the_model_and_the_write(watched: Watched) -> None:
    of_each_image = ["decode image", "wait for model", "run model"] * 2
    spans = watched.collector.wait_for(
        [*of_each_image, "write images", "semsearch.v1.GalleryService/IndexImages"], "a" * 32, DEADLINE
    )
    assert sum(span.name == "run model" for span in spans) == 2  # the third is no picture


def test_an_exemplar_names_the_trace_of_a_search(watched: Watched) -> None:
    (family,) = [
        each
        for each in text_string_to_metric_families(watched.metrics(watched.metrics_ports[0]))
        if each.name == "grpc_server_handling_seconds"
    ]
    traces = {
        sample.exemplar.labels["trace_id"]
        for sample in family.samples
        if sample.exemplar and sample.labels["grpc_method"] == "SearchByText"
    }
    assert traces & {TRACE, "b" * 32}


def test_each_metric_of_the_dashboard_and_the_alerts_exists(watched: Watched) -> None:
    text = "\n".join(watched.metrics(port) for port in watched.metrics_ports)
    families = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    existing = {"up"}
    for name, kind in families.items():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(kind, [""])
        existing |= {f"{name}{suffix}" for suffix in suffixes}
    expressions = [expression for each in panels().values() for expression in each]
    expressions += [rule["expr"] for rule in alerts().values()]
    used = set().union(*map(metrics_of, expressions))
    assert len(used) > 20
    assert used - existing == set()


def test_lost_spans_are_series_from_the_start(watched: Watched) -> None:
    """Prometheus does not see the increase to a series' first value."""
    for port in watched.metrics_ports:
        for outcome in ("failed", "dropped"):
            assert f'semsearch_trace_spans_total{{outcome="{outcome}"}} 0.0\n' in watched.metrics(port)


def test_logs_traces_and_the_audit_log_have_no_words_names_images_or_tokens(watched: Watched) -> None:
    watched.collector.wait_for([SEARCH], "b" * 32, DEADLINE)
    written = {path.name: path.read_text() for path in [*watched.data.glob("*.log"), *watched.data.glob("audit/*")]}
    assert len(written) == 4
    written["traces"] = "\n".join(str(request) for request in watched.collector.requests)
    written["metrics"] = "\n".join(watched.metrics(port) for port in watched.metrics_ports)
    for name, text in written.items():
        for secret in (SECRET_WORD, SECRET_TOKEN, SECRET_NAME):
            assert secret not in text, name


def audit_lines(watched: Watched, until: str) -> list[dict[str, str]]:
    """Return the lines of the audit log when the gateway's line of a trace is there: a thread writes them."""
    deadline = time.monotonic() + DEADLINE
    while True:
        text = (watched.data / "audit" / "audit.jsonl").read_text()
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        if any(line["trace_id"] == until and line["service"] == "gateway" for line in lines):
            return lines
        assert time.monotonic() < deadline, text


def test_top_shows_each_process(watched: Watched) -> None:
    ports = [f"--metrics=127.0.0.1:{port}" for port in watched.metrics_ports]
    done = semsearch("", "top", "--once", "--interval=0.1", *ports)
    assert done.status == 0
    assert "no answer" not in done.out
    assert all(str(port) in done.out for port in watched.metrics_ports)


def test_the_audit_log_has_changes_with_who_where_and_how_they_ended(watched: Watched) -> None:
    lines = audit_lines(watched, until="f" * 32)
    gateway = [line for line in lines if line["service"] == "gateway"]
    assert [(line["method"].partition("/")[2], line["outcome"], line["trace_id"]) for line in gateway] == [
        ("IndexImages", "OK", "a" * 32),
        ("DeleteCollection", "NOT_FOUND", "e" * 32),
        ("DeleteImages", "OK", "f" * 32),
    ]
    assert gateway[1]["collection"] == "no-such"
    assert gateway[1]["reason"] == "COLLECTION_NOT_FOUND"
    assert all(line["caller"] == "anonymous" and line["peer"].startswith("ipv4:127.0.0.1:") for line in gateway)
    # What the gateway had the index do for the deletion has the same trace id.
    assert {"semsearch.index.v1.IndexService/DeleteItems"} <= {
        line["method"] for line in lines if line["trace_id"] == "f" * 32
    }
