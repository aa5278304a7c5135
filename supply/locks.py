"""Every package that a lock pins, with its hashes; the locks are all files that an installation may use."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHON_LOCKS = (
    "requirements.lock",
    "index_service/weaviate/requirements.lock",
    "client/ray-requirements.lock",
    "trainer/starter/requirements.lock",
    "benchmarks/index/requirements.lock",
    "page/requirements.lock",
)
NPM_LOCKS = ("page/package-lock.json", "examples/typescript/package-lock.json")


class Ecosystem(Enum):
    """Where a package comes from; the value is its type in a package URL (purl)."""

    PYTHON = "pypi"
    NPM = "npm"


@dataclass(frozen=True)
class Package:
    """A pinned package.

    Attributes:
        ecosystem: Python or npm.
        name: The canonical name; an npm package of a scope is "@scope/name".
        version: The version.
        hashes: The algorithm ("SHA-256", "SHA-512") and hex digits of each file that may be installed.
        locks: The locks that pin it, relative to the checkout.
        licence: The SPDX expression that its lock states; "" if the lock states none.
    """

    ecosystem: Ecosystem
    name: str
    version: str
    hashes: frozenset[tuple[str, str]]
    locks: tuple[str, ...]
    licence: str = ""


def read_locks(root: Path) -> list[Package]:
    """Return the packages of all locks below `root`, each version once, by name."""
    found: dict[tuple[Ecosystem, str, str], Package] = {}
    for lock in PYTHON_LOCKS:
        for package in _python_packages(root / lock, lock):
            _add(found, package)
    for lock in NPM_LOCKS:
        for package in _npm_packages(root / lock, lock):
            _add(found, package)
    return sorted(found.values(), key=lambda each: (each.ecosystem.value, each.name, each.version))


def _add(found: dict[tuple[Ecosystem, str, str], Package], package: Package) -> None:
    key = (package.ecosystem, package.name, package.version)
    if known := found.get(key):
        hashes, locks = known.hashes | package.hashes, (*known.locks, *package.locks)
        package = Package(package.ecosystem, package.name, package.version, hashes, locks, package.licence)
    found[key] = package


def _python_packages(path: Path, lock: str) -> Iterator[Package]:
    # A requirement is continued over lines with backslashes: "name==version ; marker \ --hash=sha256:…".
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        text, *hashes = line.partition("#")[0].split("--hash=")
        if not text.strip():
            continue
        requirement = Requirement(text.strip())
        (pinned,) = requirement.specifier
        digests = (each.strip().partition(":") for each in hashes)
        yield Package(
            Ecosystem.PYTHON,
            canonicalize_name(requirement.name),
            pinned.version,
            frozenset(("SHA-256", digits) for _, _, digits in digests),
            (lock,),
        )


def _npm_packages(path: Path, lock: str) -> Iterator[Package]:
    for place, entry in json.loads(path.read_text(encoding="utf-8"))["packages"].items():
        if not place or entry.get("link"):  # the project itself
            continue
        algorithm, _, digest = entry["integrity"].partition("-")
        digits = base64.b64decode(digest).hex()
        yield Package(
            Ecosystem.NPM,
            place.rpartition("node_modules/")[2],
            entry["version"],
            frozenset({(algorithm.upper().replace("SHA", "SHA-"), digits)}),
            (lock,),
            entry.get("license", ""),
        )
