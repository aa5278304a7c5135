"""The bill of materials (SBOM) in CycloneDX 1.6, from the locks and the installed packages' metadata.

A component has its version, its package URL, its licence, the hashes of its files, and the locks that pin it. The scope
of what a running suite needs is "required", that of all else "optional". The same checkout and environment
give the same bytes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Container, Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply.licences import Policy, licence_of
from supply.locks import Ecosystem, Package

_LOCK = "semsearch:lock"


def bill_of_materials(root: Path, packages: Collection[Package], policy: Policy, made: datetime) -> str:
    """Return the bill of the checkout at `root` as JSON; `made` is the time that it states."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = needs_of(project["name"], project["dependencies"])
    components = {each: _component(each, licence_of(each, policy), needs.keys()) for each in packages}
    suite = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
        licenses=[LicenseExpression(project["license"])],
    )
    pinned = "\n".join(str(each.purl) for each in components.values())
    bill = Bom(components=components.values(), serial_number=uuid5(NAMESPACE_URL, pinned))
    bill.metadata = BomMetaData(component=suite, timestamp=made)
    python = {each.name: component for each, component in components.items() if each.ecosystem is Ecosystem.PYTHON}
    for name, needed in needs.items():
        if component := suite if name == project["name"] else python.get(name):
            bill.register_dependency(component, [python[each] for each in sorted(needed) if each in python])
    return make_outputter(bill, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def needs_of(name: str, requirements: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Return what `name` and each package below it need on this machine, by canonical name, all the way down."""
    needs: dict[str, frozenset[str]] = {}
    waiting = [(name, requirements)]
    while waiting:
        name, requirements = waiting.pop()
        parsed = [Requirement(each) for each in requirements]
        needs[name] = frozenset(
            canonicalize_name(each.name)
            for each in parsed
            if each.marker is None or each.marker.evaluate({"extra": ""})
        )
        waiting += [(each, metadata.requires(each) or ()) for each in needs[name] if each not in needs]
    return needs


def _component(package: Package, licence: str, required: Container[str]) -> Component:
    scope, _, name = package.name.rpartition("/")  # "@scope/name", of npm
    python = package.ecosystem is Ecosystem.PYTHON
    return Component(
        name=name,
        group=scope or None,
        version=package.version,
        bom_ref=f"{package.ecosystem.value}:{package.name}@{package.version}",
        scope=ComponentScope.REQUIRED if python and package.name in required else ComponentScope.OPTIONAL,
        hashes=[HashType(alg=HashAlgorithm(algorithm), content=digits) for algorithm, digits in package.hashes],
        licenses=[LicenseExpression(licence)] if licence else (),
        purl=PackageURL(package.ecosystem.value, scope or None, name, package.version),
        properties=[Property(name=_LOCK, value=lock) for lock in package.locks],
    )
