"""The licence of each package as an SPDX expression, and whether the project's policy allows it.

A lock or an installed package's metadata state the licence (PEP 639: `License-Expression`; before that: classifiers
and `License`). `policy.toml` lists the licences that are allowed for everything, those of single packages that state
none or state it wrongly, and the exceptions, each with its reason.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

from license_expression import ExpressionError, Licensing, get_spdx_licensing

from supply.locks import Ecosystem, Package

POLICY = Path(__file__).parent / "policy.toml"
UNKNOWN = ""
_CLASSIFIER = "License :: OSI Approved :: "
_BY_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_SPDX: Licensing = get_spdx_licensing()


@dataclass(frozen=True)
class Policy:
    """What may be depended on.

    Attributes:
        allowed: SPDX identifiers that any package may have.
        stated: The expression of packages whose metadata lack it, by name.
        exceptions: The reason why a package may have another licence, by name.
    """

    allowed: frozenset[str]
    stated: Mapping[str, str]
    exceptions: Mapping[str, str]

    @staticmethod
    def read(path: Path = POLICY) -> Policy:
        """Read the policy."""
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Policy(frozenset(table["allowed"]), table["stated"], table["exceptions"])

    def allows(self, expression: str) -> bool:
        """Return whether an expression can be met with allowed licences; raises `ExpressionError` if it is none."""
        parsed = _SPDX.parse(expression)
        if parsed is None:
            return False
        known = {symbol: _SPDX.TRUE if symbol.key in self.allowed else _SPDX.FALSE for symbol in parsed.symbols}
        return bool(parsed.subs(known).simplify() == _SPDX.TRUE)


def licence_of(package: Package, policy: Policy) -> str:
    """Return a package's SPDX expression; `UNKNOWN` if neither the policy, its lock nor its metadata state one."""
    if stated := policy.stated.get(package.name) or package.licence:
        return stated
    if package.ecosystem is not Ecosystem.PYTHON:
        return UNKNOWN
    try:
        # A message, though typeshed has a narrower protocol.
        described = cast(Message, metadata.metadata(package.name))
    except metadata.PackageNotFoundError:
        return UNKNOWN
    if expression := described.get("License-Expression"):
        return str(expression)
    classifiers = [each.removeprefix(_CLASSIFIER) for each in described.get_all("Classifier", [])]
    if names := [_BY_CLASSIFIER[each] for each in classifiers if each in _BY_CLASSIFIER]:
        return " AND ".join(names)
    return _as_expression(described.get("License", ""))


def problems(packages: Iterable[Package], policy: Policy) -> list[str]:
    """Return a sentence for each package that the policy does not allow, and for each entry that nothing needs."""
    found, names = [], set()
    for package in packages:
        names.add(package.name)
        expression = licence_of(package, policy)
        where = f"{package.name} {package.version} ({', '.join(package.locks)})"
        if package.name in policy.exceptions:
            continue
        if expression == UNKNOWN:
            found.append(
                f"{where} is not installed, or states no licence. Then look it up, and state it in {POLICY.name}."
            )
        elif not policy.allows(expression):
            found.append(f"{where} has the licence {expression}, which {POLICY.name} does not allow.")
    unneeded = sorted({*policy.stated, *policy.exceptions} - names)
    return [*found, *(f"{name} is in {POLICY.name}, but no lock has it. Remove it." for name in unneeded)]


def _as_expression(text: str) -> str:
    try:
        _SPDX.parse(text, validate=True)
    except ExpressionError:  # some give the licence's whole text
        return UNKNOWN
    return text
