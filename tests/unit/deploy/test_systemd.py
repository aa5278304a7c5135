"""The systemd units: valid, confined to the folders that their service writes, with time to drain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.needs import need
from tests.unit.deploy.manifests import DEPLOY, unit

UNITS = sorted(each.name for each in (DEPLOY / "systemd").glob("*.service"))


def test_systemd_reads_the_units_without_a_complaint(tmp_path: Path) -> None:
    need(shutil.which("systemd-analyze") is not None, "systemd-analyze is not installed: apt install systemd")
    units = tmp_path / "units"
    shutil.copytree(DEPLOY / "systemd", units)
    for each in UNITS:
        text = (units / each).read_text(encoding="utf-8")
        # It looks for the program, which is installed on a machine that has the suite.
        (units / each).write_text(text.replace("/opt/semsearch/.venv/bin/python", sys.executable), encoding="utf-8")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "./semsearch.target", *(f"./{each}" for each in UNITS)],
        cwd=units, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (result.returncode, [line for line in result.stderr.splitlines() if "semsearch" in line]) == (0, [])


def test_a_service_has_time_to_drain_and_is_started_again() -> None:
    for each in UNITS:
        lines = dict(unit(each))
        variables = dict(text.split("=", 1) for key, text in unit(each) if key == "Environment")
        assert float(lines["TimeoutStopSec"]) >= float(variables["SEMSEARCH_DRAIN_SECONDS"]) + 10
        assert lines["Restart"] == "on-failure"


def test_each_service_writes_its_own_folders_and_the_counts_of_quotas_only() -> None:
    written = {each: dict(unit(each))["StateDirectory"].split() for each in UNITS}
    assert written == {
        "semsearch-embedder.service": ["semsearch/models", "semsearch/quotas"],
        "semsearch-gateway.service": ["semsearch/gateway", "semsearch/images", "semsearch/quotas"],
        "semsearch-index.service": ["semsearch/index", "semsearch/quotas"],
    }
    assert all(dict(unit(each))["ProtectSystem"] == "strict" for each in UNITS)
    assert {dict(unit(each))["LogsDirectory"] for each in UNITS} == {"semsearch"}, "for an audit log"


def test_a_decoder_that_the_system_kills_does_not_end_the_embedder() -> None:
    assert dict(unit("semsearch-embedder.service"))["OOMPolicy"] == "continue"
