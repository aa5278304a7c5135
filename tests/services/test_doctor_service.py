"""What the doctor says of a real service that refuses the caller, hangs, or has files that it cannot use."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import grpc
import pytest
from semsearch.certificates.folder import CertificateFolder
from semsearch.doctor.findings import Finding, State
from semsearch.doctor.places import Place, ServicePlaces, split
from semsearch.doctor.services import examine_service
from semsearch.index.v1 import index_service_pb2 as index_pb

from tests.ports import free_ports
from tests.services.index_process import index_process
from tests.services.service_process import ServiceProcess, service_process
from tests.unit.serving.access.made_tokens import MadeTokens

DEADLINE = 30.0


def examined(service: ServiceProcess, metrics: int = -1) -> list[Finding]:
    host, port = split(service.address)
    others = (Place("index", "metrics", host, metrics, "SEMSEARCH_INDEX_METRICS_PORT"),) if metrics > 0 else ()
    place = Place("index", "gRPC", host, port, "SEMSEARCH_INDEX_PORT")
    return list(examine_service(ServicePlaces("index", place, others), suite_runs=True))


def problems(service: ServiceProcess, metrics: int, *wanted: str) -> dict[str, Finding]:
    """Return the problems by part once they are about the wanted parts, or at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while True:
        found = {each.part: each for each in examined(service, metrics) if each.state is State.PROBLEM}
        if found.keys() == set(wanted) or time.monotonic() > deadline:
            return found
        threading.Event().wait(0.1)


def test_a_service_whose_quota_the_caller_has_used_up_is_the_service_and_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeTokens(tmp_path)
    monkeypatch.setenv("SEMSEARCH_CLIENT_TOKEN", made.add("ann"))
    with index_process(tmp_path, f"--tokens={made.path}", "--read-quota=2/day") as index:
        assert examined(index)[0].state is State.OK
        refused, serves, work = examined(index)
        assert refused.state is State.PROBLEM
        assert refused.text.startswith(f"{index.address} runs, and refuses this caller: The quota of today is used up")
        assert "SEMSEARCH_CLIENT_TOKEN to an administrator's token" in refused.advice
        assert (serves.state, serves.text) == (
            State.OK,
            f"{index.address} serves CoordinationService, IndexService, LimitsService",
        )
        assert (work.state, work.text) == (State.OK, "merging")


def test_a_token_that_is_missing_or_expired_or_unknown_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeTokens(tmp_path)
    expired = made.add("ann", expires_in=-60)
    unknown = f"semsearch_{'0' * 12}_{'x' * 43}"
    with index_process(tmp_path, f"--tokens={made.path}") as index:
        for token, text, advice in (
            ("", "answers only callers that it knows", "SEMSEARCH_CLIENT_TOKEN to a token of that suite"),
            (expired, "refuses this caller: The token expired at", "SEMSEARCH_CLIENT_TOKEN to another token"),
            (unknown, "refuses this caller: The token is not one that", "SEMSEARCH_CLIENT_TOKEN to another token"),
        ):
            monkeypatch.setenv("SEMSEARCH_CLIENT_TOKEN", token)
            refused, serves, *_ = examined(index)
            assert refused.state is State.PROBLEM
            assert text in refused.text
            assert advice in refused.advice
            assert serves.state is State.OK


def test_a_service_that_hangs_is_named_with_its_process(tmp_path: Path) -> None:
    with index_process(tmp_path) as index:
        index.process.send_signal(signal.SIGSTOP)
        try:
            (found,) = examined(index)
        finally:
            index.process.send_signal(signal.SIGCONT)
        assert found.state is State.PROBLEM
        assert found.text.startswith(f"{index.address} does not answer")
        assert "-m index_service" in found.text
        assert f"(process {index.process.pid}) hangs" in found.text
        assert f"kill -KILL {index.process.pid}" in found.advice
        assert "SEMSEARCH_INDEX_PORT" not in found.advice


def test_files_that_a_running_service_cannot_use_are_problems_until_they_are_right_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, live, audit = MadeTokens(tmp_path), tmp_path / "live.toml", tmp_path / "audit.jsonl"
    monkeypatch.setenv("SEMSEARCH_CLIENT_TOKEN", made.add("ada", "admin"))
    live.write_text("")
    (metrics,) = free_ports(1)
    flags = (
        f"--tokens={made.path}",
        f"--live-settings={live}",
        f"--audit-log={audit}",
        f"--metrics-port={metrics}",
    )
    with index_process(tmp_path, *flags) as index:
        assert problems(index, metrics) == {}
        made.path.write_text('{"bad')
        live.write_text('[index]\nread_quota = "many"\n')
        audit.unlink()
        audit.mkdir()
        with pytest.raises(grpc.RpcError):
            index.stub.ListIndexes(index_pb.ListIndexesRequest())  # without a token, so it is to be in the audit log
        parts = ("index: tokens and keys", "index: live settings", "index: audit log")
        found = problems(index, metrics, *parts)
        assert found.keys() == set(parts)
        tokens, settings, log = (found[part] for part in parts)
        assert tokens.text.startswith(f"{made.path} cannot be used, and what it said before still holds")
        assert "revoked" in tokens.text
        assert "no effect" in settings.text
        assert "cannot be written" in log.text
        assert all("log of the index" in each.advice for each in found.values())
        made.write()
        live.write_text("")
        audit.rmdir()
        assert problems(index, metrics) == {}


def test_a_new_certificate_that_a_service_cannot_use_is_a_problem_while_the_last_good_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CertificateFolder(tmp_path / "certs")
    folder.make()
    files = {name: folder.path / name for name in ("ca.crt", "server.crt", "server.key", "client.crt", "client.key")}
    for kind, name in (("CA", "ca.crt"), ("CERT", "client.crt"), ("KEY", "client.key")):
        monkeypatch.setenv(f"SEMSEARCH_CLIENT_TLS_{kind}", str(files[name]))
    (metrics,) = free_ports(1)
    flags = [f"--tls-{kind}={files[name]}" for kind, name in (("ca", "ca.crt"), ("cert", "server.crt"))]
    with service_process(
        "index_service", tmp_path, *flags, f"--tls-key={files['server.key']}", f"--metrics-port={metrics}"
    ) as index:
        assert problems(index, metrics) == {}
        good = files["server.crt"].read_bytes()
        files["server.crt"].write_bytes(files["client.crt"].read_bytes())
        found = problems(index, metrics, "index: new certificate")
        assert found.keys() == {"index: new certificate"}
        text = found["index: new certificate"].text
        assert text == f"{files['server.crt']}: its new file cannot be used, the last good one serves"
        files["server.crt"].write_bytes(good)
        assert problems(index, metrics) == {}
