"""The Kubernetes objects: valid, confined, probed by services that exist, and scaled by a metric that exists."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml
from semsearch.embedder.v1 import embedder_service_pb2
from semsearch.index.v1 import index_service_pb2
from semsearch.v1 import search_service_pb2

from embedder_service.settings import EmbedderSettings
from tests.unit.deploy.manifests import (
    DEPLOY,
    FULL,
    LAYOUTS,
    ROOT,
    SETTINGS,
    container,
    of_kind,
    ports,
    rendered,
    workloads,
)

# The first version that knows what the objects use.
OLDEST = "1.30"
SERVICES = {
    "embedder": embedder_service_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name,
    "index": index_service_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name,
    "gateway": search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name,
}


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("layout", ["base", "autoscaled", *FULL, "base+encrypted"])
def test_objects_are_valid(layout: str, version: str) -> None:
    for each in rendered(layout):
        kubernetes_validate.validate(each, version, strict=True)
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == "semsearch"


@pytest.mark.parametrize("component", [*SERVICES, "index-replica"])
def test_pods_are_confined(component: str) -> None:
    every = workloads(FULL[0])
    pod = every[component]["spec"]["template"]["spec"]
    one = container(every[component])
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]
    written = {each["mountPath"] for each in one["volumeMounts"] if not each.get("readOnly")}
    assert written == {"/data", "/tmp", "/audit", *(["/published"] if component == "index" else [])}
    assert {*one["resources"]["requests"]} == {"cpu", "memory"}
    assert "memory" in one["resources"]["limits"]


@pytest.mark.parametrize("layout", [*LAYOUTS, *FULL])
def test_all_services_are_of_one_image(layout: str) -> None:
    assert len({container(each)["image"] for each in workloads(layout).values()}) == 1


@pytest.mark.parametrize("component", SERVICES)
def test_no_variables_of_other_services_are_taken_for_settings(component: str) -> None:
    # Of a Service named semsearch-gateway Kubernetes would set SEMSEARCH_GATEWAY_PORT to tcp://10.0.0.1:50051.
    assert workloads()[component]["spec"]["template"]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("component", SERVICES)
def test_probes_ask_for_services_that_the_process_has(component: str) -> None:
    one = container(workloads()[component])
    probes = [one[f"{name}Probe"] for name in ("startup", "readiness", "liveness")]
    asked = {each["grpc"]["service"] for each in probes if "grpc" in each}
    assert asked == {SERVICES[component]}
    assert {each["grpc"]["port"] for each in probes if "grpc" in each} == {ports(SETTINGS[one["args"][0]])["grpc"]}
    assert "grpc" in one["readinessProbe"]


def test_a_gateway_is_not_killed_because_another_service_is_away() -> None:
    # All its gRPC services are NOT_SERVING then.
    assert container(workloads()["gateway"])["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_writes_a_volume_alone_is_one_pod(layout: str) -> None:
    found = workloads(layout)
    assert found["index"]["spec"]["replicas"] == 1
    for component, claim, several in (("embedder", "models", None), ("gateway", "images", 2)):
        spec = found[component]["spec"]
        (mode,) = of_kind("PersistentVolumeClaim", layout)[f"semsearch-{claim}"]["spec"]["accessModes"]
        assert (mode, spec.get("replicas"), "Recreate" in spec["strategy"].values()) == {
            "base": ("ReadWriteOnce", 1, True),
            "autoscaled": ("ReadWriteMany", several, False),
        }[layout]


def test_several_gateways_share_the_images_and_nothing_else() -> None:
    pod = workloads("autoscaled")["gateway"]["spec"]["template"]["spec"]
    mounts = {each["mountPath"]: each for each in container(workloads("autoscaled")["gateway"])["volumeMounts"]}
    shared = {each["name"] for each in pod["volumes"] if "emptyDir" not in each}
    assert {path for path, each in mounts.items() if each["name"] in shared} == {"/data/images"}
    assert mounts["/data/images"]["subPath"] == "images"
    assert pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].items() <= (
        workloads("autoscaled")["gateway"]["spec"]["template"]["metadata"]["labels"].items()
    )


@pytest.mark.parametrize("component", [*SERVICES, "index-replica"])
def test_a_pod_has_time_to_drain(component: str) -> None:
    (shared,) = of_kind("ConfigMap", FULL[0]).values()
    pod = workloads(FULL[0])[component]["spec"]["template"]["spec"]
    lifecycle = container(workloads(FULL[0])[component]).get("lifecycle")
    before = lifecycle["preStop"]["sleep"]["seconds"] if lifecycle else 0
    drain = float(shared["data"]["SEMSEARCH_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] >= before + drain + 10


@pytest.mark.parametrize("layout", ["base", FULL[0]])
def test_selectors_find_the_pods_of_their_own_component(layout: str) -> None:
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in workloads(layout).items()}
    budgets = of_kind("PodDisruptionBudget", layout)
    selectors = [
        *((name, each["spec"]["selector"]) for name, each in of_kind("Service", layout).items()),
        *((name, each["spec"]["selector"]["matchLabels"]) for name, each in budgets.items()),
    ]
    assert len(selectors) == 2 * len(labels)
    for name, selector in selectors:
        found = {component for component, own in labels.items() if selector.items() <= own.items()}
        assert found == {name.removeprefix("semsearch-")}


def test_services_name_pods_so_that_the_gateway_spreads_its_calls() -> None:
    found = {name: each["spec"].get("clusterIP") for name, each in of_kind("Service").items()}
    assert found == {"semsearch-embedder": "None", "semsearch-index": "None", "semsearch-gateway": None}
    assert of_kind("Service")["semsearch-gateway"]["spec"]["type"] == "ClusterIP"


def _may_call(component: str, layout: str = "base") -> set[tuple[str, str | int]]:
    """Return who may call a component, as the component or the purpose, with the port."""
    own = workloads(layout)[component]["spec"]["template"]["metadata"]["labels"]
    allowed = set()
    for policy in of_kind("NetworkPolicy", layout).values():
        selector = policy["spec"]["podSelector"]
        matches = selector.get("matchLabels", {}).items() <= own.items() and all(
            own.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", [])
        )
        for rule in policy["spec"].get("ingress", []) if matches else []:
            peers: list[dict[str, Any]] = rule["from"]
            callers = {next(iter(peer["podSelector"]["matchLabels"].items())) for peer in peers}
            allowed |= {(f"{key}={text}", each["port"]) for key, text in callers for each in rule["ports"]}
    return allowed


def test_only_the_gateway_reaches_the_other_services() -> None:
    prometheus = ("app.kubernetes.io/name=prometheus", "metrics")
    gateway = ("app.kubernetes.io/component=gateway", "grpc")
    assert _may_call("embedder") == _may_call("index") == {prometheus, gateway}
    assert _may_call("index-replica", "base+replicated") == {prometheus, gateway}
    clients = {("semsearch-client=true", "grpc"), ("semsearch-client=true", "http")}
    assert _may_call("gateway") == {prometheus, gateway, *clients}
    nothing = of_kind("NetworkPolicy")["semsearch-nothing-else"]["spec"]
    assert sorted(nothing) == ["podSelector", "policyTypes"]
    assert nothing["policyTypes"] == ["Ingress", "Egress"]


def test_embedders_are_scaled_by_a_metric_that_they_have() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler", "autoscaled").values()
    (metric,) = scaler["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "embedder_service").glob("*.py")]
    assert any(f'Gauge("{name}"' in text for text in sources)
    rules = yaml.safe_load((DEPLOY / "kubernetes/autoscaled/adapter-rules.yaml").read_text(encoding="utf-8"))
    assert [each["seriesQuery"].partition("{")[0] for each in rules["rules"]["custom"]] == [name]
    batch = EmbedderSettings.model_fields["max_batch_images"].default
    assert int(metric["pods"]["target"]["averageValue"]) == 2 * batch
    assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind("Deployment", "autoscaled")
