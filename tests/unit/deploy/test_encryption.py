"""What encrypts the suite in each way of deploying it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from semsearch.certificates.folder import SERVICE_HOSTS

from serving.tls_settings import TlsSettings
from tests.unit.deploy.manifests import DEPLOY, composed, container, of_kind, started, workloads

FILES = {f"SEMSEARCH_TLS_{kind}" for kind in ("CERT", "KEY", "CA")}


@pytest.mark.parametrize("layout", ["base", "autoscaled", "base+replicated", "autoscaled+replicated+watched"])
def test_every_pod_has_the_certificates_and_probes_that_need_none(layout: str) -> None:
    (settings,) = [each["data"] for each in of_kind("ConfigMap", f"{layout}+encrypted").values()]
    pods = workloads(f"{layout}+encrypted")
    assert pods.keys() == workloads(layout).keys()
    for pod in pods.values():
        one = container(pod)
        (mount,) = [each for each in one["volumeMounts"] if each["name"] == "certificates"]
        assert "subPath" not in mount, "a file that is mounted alone does not follow a renewal"
        assert {Path(settings[name]).parent for name in FILES} == {Path(mount["mountPath"])}
        probes = [one[f"{name}Probe"] for name in ("startup", "readiness", "liveness")]
        assert not [each for each in probes if "grpc" in each or "httpGet" in each]
        assert pod["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scheme"] == "https"


def test_compose_gives_the_certificates_to_every_service() -> None:
    encrypted = composed("encrypted")
    assert encrypted["services"].keys() == composed()["services"].keys()
    for each in encrypted["services"].values():
        assert each["environment"].keys() == FILES
        assert each["volumes"] == ["../certs:/certificates:ro"]


def test_certificates_are_made_for_the_names_by_which_services_are_called() -> None:
    called = {
        match[1]
        for each in started()
        for text in each.variables.values()
        if (match := re.fullmatch(r"dns:///([\w-]+):\d+", text))
    }
    assert called == {"embedder", "index", "semsearch-embedder", "semsearch-index"}
    assert called <= {*SERVICE_HOSTS}
    text = (DEPLOY / "kubernetes/encrypted/kustomization.yaml").read_text(encoding="utf-8")
    (name,) = re.findall(r"SEMSEARCH_TLS_SERVER_NAME=(\S+)", text)
    assert name in SERVICE_HOSTS
    assert "tls_server_name" in TlsSettings.model_fields
