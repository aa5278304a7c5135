"""Every variable in deploy/ is a setting with a valid value, and every port is the default one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from serving.access.exposure import check_exposure
from serving.settings import load_settings
from tests.unit.deploy.manifests import DEPLOY, DOCKERFILE, SETTINGS, composed, container, ports, started, workloads

VARIABLE = re.compile(r"\bSEMSEARCH_[A-Z_]+\b")


def test_every_service_of_every_way_accepts_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("SEMSEARCH_")]:
        monkeypatch.delenv(name)
    checked = []
    for each in started():
        with monkeypatch.context() as own:
            for name, text in each.variables.items():
                own.setenv(name, text)
            settings = load_settings(SETTINGS[each.package], each.flags)
        assert settings.data.is_absolute(), each
        # Within its own container a service is reached from outside; a unit serves its own machine.
        assert settings.host == ("127.0.0.1" if each.by == "systemd" else "0.0.0.0"), each
        assert settings.drain_seconds == 20, each
        check_exposure(settings)
        checked.append(str(each))
    assert len(checked) == len({*checked}) == 7 * len(SETTINGS) + 2  # the replicas


def test_every_variable_that_is_named_anywhere_in_the_folder_is_a_setting() -> None:
    known = {cls.variable(field) for cls in SETTINGS.values() for field in cls.model_fields}
    unknown = {
        (file.name, name)
        for file in DEPLOY.rglob("*")
        if file.is_file()
        for name in VARIABLE.findall(file.read_text(encoding="utf-8"))
        if name not in known
    }
    # What Kubernetes would set, if it were let.
    assert {name for _, name in unknown} <= {"SEMSEARCH_GATEWAY_PORT"} | known


def test_ports_are_the_default_ones() -> None:
    every = {number for cls in SETTINGS.values() for number in ports(cls).values()}
    exposed = re.search(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)
    assert exposed is not None
    assert {int(number) for number in exposed[1].split()} == every
    for workload in workloads().values():
        one = container(workload)
        own = ports(SETTINGS[one["args"][0]])
        assert {each["name"]: each["containerPort"] for each in one["ports"]} == own
        assert workload["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(own["metrics"])


def test_health_checks_ask_the_port_of_their_service() -> None:
    grpc = {package: ports(cls)["grpc"] for package, cls in SETTINGS.items()}
    for each in composed()["services"].values():
        assert each["healthcheck"]["test"][-1] == f"127.0.0.1:{grpc[each['command'][0]]}"
    assert {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", DOCKERFILE)} == {*grpc.values()}


def test_gateways_find_the_other_services_by_names_that_exist() -> None:
    names = {
        "compose": {name: each["command"][0] for name, each in composed()["services"].items()},
        "compose+watched": {name: each["command"][0] for name, each in composed()["services"].items()},
        "kubernetes": {f"semsearch-{name}": container(each)["args"][0] for name, each in workloads().items()},
    }
    for by, package, address in _addresses():
        name, port = re.fullmatch(r"dns:///([a-z-]+):(\d+)", address).groups()  # type: ignore[union-attr]
        assert names[by.partition("-")[0]][name] == package
        assert int(port) == ports(SETTINGS[package])["grpc"]


def _addresses() -> Iterator[tuple[str, str, str]]:
    for each in started():
        if each.package == "gateway" and each.by != "systemd":
            yield each.by, "embedder_service", each.variables["SEMSEARCH_GATEWAY_EMBEDDER"]
            yield each.by, "index_service", each.variables["SEMSEARCH_GATEWAY_INDEX"]


def test_only_the_gateway_is_published_and_only_to_its_machine() -> None:
    published = {name: each.get("ports", []) for name, each in composed()["services"].items()}
    own = ports(SETTINGS["gateway"])
    assert published == {
        "embedder": [],
        "index": [],
        "gateway": [f"127.0.0.1:{own[purpose]}:{own[purpose]}" for purpose in ("grpc", "http")],
    }
