"""`semsearch doctor` with real services: no problems, a stopped embedder, and another program on its port."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from semsearch.cli import app
from semsearch.doctor.background_work import WORKS
from typer.testing import CliRunner

from tests.ports import free_ports
from tests.services.embedder_process import EmbedderProcess, embedder_process
from tests.services.index_process import index_process
from tests.services.service_process import service_process

BUNDLE = Path(__file__).parents[2] / "starter" / "bundle"
DEADLINE = 60.0

# Work that an index service does only if a setting asks for it.
BY_SETTING = {"publishing", "following", "weaviate", "weaviate-recall"}


@dataclass(frozen=True)
class Suite:
    data: Path
    embedder: EmbedderProcess
    gateway: str


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    data = tmp_path_factory.mktemp("data")
    with (
        embedder_process(data, BUNDLE) as embedder,
        index_process(data) as index,
        service_process(
            "gateway", data, f"--embedder={embedder.address}", f"--index={index.address}"
        ) as gateway,
    ):  # fmt: skip
        addresses = {"embedder": embedder.address, "index": index.address, "gateway": gateway.address}
        (data / "suite.json").write_text(json.dumps({**addresses, "pid": os.getpid()}))
        wait_for(gateway.address, health_pb2.HealthCheckResponse.SERVING)
        yield Suite(data, embedder, gateway.address)


def wait_for(address: str, wanted: int) -> None:
    with grpc.insecure_channel(address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
        assert any(state.status == wanted for state in watch)


def doctor(suite: Suite, status: int) -> dict[str, dict[str, Any]]:
    """Return what the command finds, by part."""
    off = {f"SEMSEARCH_{name}_METRICS_PORT": "-1" for name in ("GATEWAY", "EMBEDDER", "INDEX")}
    environment = {"SEMSEARCH_DATA": str(suite.data), "SEMSEARCH_GATEWAY_HTTP_PORT": "-1", **off}
    done = CliRunner().invoke(app, ["doctor", "--json"], env=environment)
    assert done.exit_code == status, done.output
    document = json.loads(done.stdout)
    assert document["well"] == (status == 0)
    return {each["part"]: each for each in document["findings"]}


def test_a_suite_from_well_to_a_stopped_embedder_to_a_taken_port(suite: Suite) -> None:
    well = doctor(suite, 0)
    assert {each["state"] for each in well.values()} <= {"ok", "note"}
    works = [each["text"] for part, each in well.items() if part.endswith(": background work")]
    assert sorted(", ".join(works).split(", ")) == sorted(work.name for work in WORKS if work.name not in BY_SETTING)
    with grpc.insecure_channel(suite.gateway) as channel:  # each is known under its name
        for work in WORKS:
            if work.service.startswith("semsearch.v1."):
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=work.health_name))
    assert well["model"]["text"].startswith("starter@sha256:")
    assert "recall" in well["index images-gallery"]["text"]
    assert "semsearch index" in well["images"]["advice"]

    suite.embedder.stop()
    wait_for(suite.gateway, health_pb2.HealthCheckResponse.NOT_SERVING)
    stopped = doctor(suite, 1)
    assert stopped["embedder"]["text"] == f"nothing listens at {suite.embedder.address}"
    assert stopped["gateway"]["state"] == "problem"
    assert stopped["index"]["state"] == "ok"

    host, _, port = suite.embedder.address.rpartition(":")
    with HTTPServer((host, int(port)), SimpleHTTPRequestHandler) as foreign:
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        taken = doctor(suite, 1)["embedder"]
        foreign.shutdown()
    assert f"(process {os.getpid()})" in taken["text"]
    assert "SEMSEARCH_EMBEDDER_PORT" in taken["advice"]


def test_it_works_when_nothing_runs(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_ports(1).start}"
    (tmp_path / "launcher").mkdir()
    environment = {"SEMSEARCH_DATA": str(tmp_path), "SEMSEARCH_CLIENT_SERVER": address}
    done = CliRunner().invoke(app, ["doctor", "--index-address", address], env=environment)
    assert done.exit_code == 1
    assert "make run-all" in done.stdout
    assert "Traceback" not in done.output


def test_the_index_address_given_takes_precedence_over_the_folders_own(tmp_path: Path) -> None:
    own = {"gateway": "127.0.0.1:1", "embedder": "127.0.0.1:1", "index": "127.0.0.1:1", "pid": os.getpid()}
    (tmp_path / "suite.json").write_text(json.dumps(own))
    done = CliRunner().invoke(
        app, ["doctor", "--json", "--index-address", "127.0.0.1:2"], env={"SEMSEARCH_DATA": str(tmp_path)}
    )
    found = {each["part"]: each["text"] for each in json.loads(done.stdout)["findings"]}
    assert found["index"] == "nothing listens at 127.0.0.1:2"
    assert found["gateway"] == "nothing listens at 127.0.0.1:1"
