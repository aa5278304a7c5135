"""What deploy/ says, as data: each service as it is started by each way of deploying it."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from embedder_service.settings import EmbedderSettings
from gateway.settings import GatewaySettings
from index_service.settings import IndexSettings
from serving.settings import ServiceSettings
from tests.needs import need

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
SETTINGS: Mapping[str, type[ServiceSettings]] = {
    "embedder_service": EmbedderSettings,
    "index_service": IndexSettings,
    "gateway": GatewaySettings,
}
LAYOUTS = ("base", "autoscaled")
# A layout with components, as an overlay adds them.
FULL = tuple(f"{layout}+replicated+watched" for layout in LAYOUTS)

Document = dict[str, Any]


@dataclass(frozen=True)
class Started:
    """A service as it is started: by what, its package, its flags, and its variables."""

    by: str
    package: str
    flags: Sequence[str]
    variables: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.by}-{self.package}"


@functools.cache
def renderer() -> Sequence[str | Path]:
    """Return the command that renders the kustomization in a folder."""
    renderers = (
        (ROOT / ".tools/bin/kustomize", "build"),
        *((Path(found), "build") for found in [shutil.which("kustomize")] if found),
        *((Path(found), "kustomize") for found in [shutil.which("kubectl")] if found),
    )
    command = next(([tool, verb] for tool, verb in renderers if tool.exists()), None)
    need(command is not None, "neither kustomize nor kubectl is installed: make kustomize")
    assert command is not None
    return command


@functools.cache
def rendered(layout: str) -> list[Document]:
    """Return the objects of a layout, or of one with components, such as "base+encrypted"."""
    resource, *components = layout.split("+")
    with tempfile.TemporaryDirectory() as overlay:
        folder = os.path.relpath(DEPLOY / "kubernetes", os.path.realpath(overlay))
        lists = {"resources": [f"{folder}/{resource}"], "components": [f"{folder}/{each}" for each in components]}
        (Path(overlay) / "kustomization.yaml").write_text(yaml.safe_dump(lists), encoding="utf-8")
        text = subprocess.run([*renderer(), overlay], capture_output=True, text=True, check=True).stdout
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(kind: str, layout: str = "base") -> dict[str, Document]:
    """Return the objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in rendered(layout) if each["kind"] == kind}


def workloads(layout: str = "base") -> dict[str, Document]:
    """Return what runs pods, by component."""
    found = {**of_kind("Deployment", layout), **of_kind("StatefulSet", layout)}
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in found.values()}


def container(workload: Document) -> Document:
    (one,) = workload["spec"]["template"]["spec"]["containers"]
    return one


def composed(addition: str = "") -> Document:
    """Return the compose file, or what is added to it for a purpose, such as "encrypted"."""
    name = f"compose.{addition}.yaml" if addition else "compose.yaml"
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def image_variables() -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(re.findall(r"^ +(SEMSEARCH_\w+)=(\S+)", DOCKERFILE, re.MULTILINE))


def unit(name: str) -> list[tuple[str, str]]:
    """Return the lines of a unit and of what all units share."""
    shared = DEPLOY / "systemd" / "semsearch-.service.d" / "all-services.conf"
    text = shared.read_text(encoding="utf-8") + (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
    return re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)


def started() -> Iterator[Started]:
    """Yield every service of every way of deploying."""
    watched = composed("watched")["services"]
    for name, each in composed()["services"].items():
        package, *flags = each["command"]
        variables = {**image_variables(), **each["environment"]}
        yield Started("compose", package, flags, variables)
        yield Started("compose+watched", package, flags, {**variables, **watched[name]["environment"]})
    for layout in (*LAYOUTS, *FULL):
        maps = of_kind("ConfigMap", layout)
        for component, workload in workloads(layout).items():
            one = container(workload)
            package, *flags = one["args"]
            variables = dict(image_variables())
            for source in one["envFrom"]:
                variables |= maps[source["configMapRef"]["name"]]["data"]
            variables |= {each["name"]: each["value"] for each in one["env"] if "value" in each}
            yield Started(f"kubernetes-{layout}-{component}", package, flags, variables)
    for file in sorted((DEPLOY / "systemd").glob("*.service")):
        lines = unit(file.name)
        package, *flags = dict(lines)["ExecStart"].partition(" -m ")[2].split()
        variables = dict(text.split("=", 1) for key, text in lines if key == "Environment")
        yield Started("systemd", package, flags, variables)


def ports(settings: type[ServiceSettings]) -> dict[str, int]:
    """Return a service's default ports by purpose: grpc, http, metrics."""
    fields = {"grpc": "port", "http": "http_port", "metrics": "metrics_port"}
    known = settings.model_fields
    return {purpose: known[field].default for purpose, field in fields.items() if field in known}
