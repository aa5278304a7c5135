"""What the doctor says of a real service that refuses the caller, hangs, or has files that it cannot use."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from semsearch.doctor.findings import Finding, State
from semsearch.doctor.places import Place, ServicePlaces, split
from semsearch.doctor.services import examine_service

from tests.services.index_process import index_process
from tests.services.service_process import ServiceProcess
from tests.unit.serving.access.made_tokens import MadeTokens


def examined(service: ServiceProcess, metrics: int = -1) -> list[Finding]:
    host, port = split(service.address)
    others = (Place("index", "metrics", host, metrics, "SEMSEARCH_INDEX_METRICS_PORT"),) if metrics > 0 else ()
    place = Place("index", "gRPC", host, port, "SEMSEARCH_INDEX_PORT")
    return list(examine_service(ServicePlaces("index", place, others), suite_runs=True))


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
