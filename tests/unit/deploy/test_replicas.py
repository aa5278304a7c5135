"""Read replicas in Kubernetes: they read what the writer publishes, and gateways know each of them."""

from __future__ import annotations

import pytest

from tests.unit.deploy.manifests import LAYOUTS, SETTINGS, container, of_kind, ports, workloads

REPLICATED = [f"{layout}+replicated" for layout in LAYOUTS]
pytestmark = pytest.mark.parametrize("layout", REPLICATED)


def _variables(layout: str, component: str) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container(workloads(layout)[component])["env"]}


def _mount(layout: str, component: str) -> tuple[str, str, bool]:
    """Return the path, the claim, and whether it is read only, of what is published."""
    workload = workloads(layout)[component]
    (mount,) = [each for each in container(workload)["volumeMounts"] if each["name"] == "published"]
    (volume,) = [each for each in workload["spec"]["template"]["spec"]["volumes"] if each["name"] == "published"]
    return mount["mountPath"], volume["persistentVolumeClaim"]["claimName"], mount.get("readOnly", False)


def test_replicas_read_what_the_writer_publishes(layout: str) -> None:
    place, claim, read_only = _mount(layout, "index")
    assert (_variables(layout, "index")["SEMSEARCH_INDEX_PUBLISH"], read_only) == (place, False)
    assert _mount(layout, "index-replica") == (place, claim, True)
    assert _variables(layout, "index-replica")["SEMSEARCH_INDEX_REPLICA_OF"] == place
    assert of_kind("PersistentVolumeClaim", layout)[claim]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_gateways_know_each_replica_and_replicas_the_writer(layout: str) -> None:
    replicas = workloads(layout)["index-replica"]
    port = ports(SETTINGS["index_service"])["grpc"]
    name, service = replicas["metadata"]["name"], replicas["spec"]["serviceName"]
    assert of_kind("Service", layout)[service]["spec"]["clusterIP"] == "None"
    known = _variables(layout, "gateway")["SEMSEARCH_GATEWAY_INDEX_REPLICAS"]
    assert known.split(",") == [f"{name}-{each}.{service}:{port}" for each in range(replicas["spec"]["replicas"])]
    writer, _, its_port = _variables(layout, "index")["SEMSEARCH_INDEX_ADVERTISE"].partition(":")
    assert (writer in of_kind("Service", layout), int(its_port)) == (True, port)


def test_gateways_may_call_replicas(layout: str) -> None:
    egress = of_kind("NetworkPolicy", layout)["semsearch-gateway"]["spec"]["egress"]
    called = [each["to"][0]["podSelector"]["matchLabels"].get("app.kubernetes.io/component") for each in egress]
    assert "index-replica" in called


def test_a_replica_is_not_killed_because_the_writer_is_away(layout: str) -> None:
    # Its service is NOT_SERVING then, and it recovers by itself.
    for variant in (layout, f"{layout}+encrypted"):
        one = container(workloads(variant)["index-replica"])
        assert one["livenessProbe"]["tcpSocket"] == one["startupProbe"]["tcpSocket"] == {"port": "grpc"}
        assert {"grpc", "exec"} & one["readinessProbe"].keys()


def test_a_replicas_volume_is_a_copy(layout: str) -> None:
    policy = workloads(layout)["index-replica"]["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert policy == {"whenDeleted": "Delete", "whenScaled": "Delete"}
    assert workloads(layout)["index"]["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
