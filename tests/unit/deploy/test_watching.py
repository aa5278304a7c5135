"""Traces and audit logs in each way of deploying: where they go can be reached and written, and stays."""

from __future__ import annotations

import re
from pathlib import PurePath

import pytest

from tests.unit.deploy.manifests import DEPLOY, DOCKERFILE, FULL, composed, container, of_kind, unit, workloads

UNITS = sorted(each.name for each in (DEPLOY / "systemd").glob("*.service"))


def test_compose_keeps_the_audit_log_in_a_volume_that_the_image_prepares() -> None:
    watched = composed("watched")
    assert watched["services"].keys() == composed()["services"].keys()
    for each in watched["services"].values():
        folder = str(PurePath(each["environment"]["SEMSEARCH_AUDIT_LOG"]).parent)
        assert each["volumes"] == [f"audit:{folder}"]
        # An empty volume gets the owner that the folder has in the image.
        assert re.search(rf"install --directory --owner=10001 --group=10001 .*{folder}\b", DOCKERFILE)
    assert watched["volumes"].keys() == {"audit"}


@pytest.mark.parametrize("layout", FULL)
def test_each_pod_has_an_audit_log_of_its_own_in_a_volume_that_stays(layout: str) -> None:
    (claim,) = [each for name, each in of_kind("PersistentVolumeClaim", layout).items() if name == "semsearch-audit"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for workload in workloads(layout).values():
        one = container(workload)
        variables = {each["name"]: each for each in one["env"]}
        # Kubernetes replaces $(POD_NAME) only if it comes before.
        assert [*variables].index("POD_NAME") < [*variables].index("SEMSEARCH_AUDIT_LOG")
        assert variables["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
        assert variables["SEMSEARCH_AUDIT_LOG"]["value"] == "/audit/$(POD_NAME).jsonl"
        (mount,) = [each for each in one["volumeMounts"] if each["mountPath"] == "/audit"]
        volumes = {each["name"]: each for each in workload["spec"]["template"]["spec"]["volumes"]}
        assert volumes[mount["name"]]["persistentVolumeClaim"]["claimName"] == "semsearch-audit"


@pytest.mark.parametrize("layout", FULL)
def test_every_pod_may_reach_the_collector_that_the_settings_name(layout: str) -> None:
    (settings,) = of_kind("ConfigMap", layout).values()
    found = re.fullmatch(r"http://([\w-]+)\.([\w-]+):(\d+)", settings["data"]["SEMSEARCH_OTLP_ENDPOINT"])
    assert found
    policy = of_kind("NetworkPolicy", layout)["semsearch-traces"]["spec"]
    for workload in workloads(layout).values():
        assert (
            policy["podSelector"]["matchLabels"].items() <= workload["spec"]["template"]["metadata"]["labels"].items()
        )
    collector = policy["egress"][0]
    (peer,) = collector["to"]
    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": found[1]}
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": found[2]}
    assert collector["ports"] == [{"port": int(found[3])}]


def test_units_may_write_an_audit_log() -> None:
    assert {dict(unit(each))["LogsDirectory"] for each in UNITS} == {"semsearch"}
