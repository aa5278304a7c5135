"""The page of dependencies and their licences, from the locks."""

from __future__ import annotations

from pathlib import Path

from docs_site.markdown import code, table
from supply.licences import Policy, licence_of
from supply.locks import read_locks

_INTRODUCTION = """# Dependencies and licences

Every package that an installation may use. Each is pinned by its version and the SHA-256 or SHA-512 of its files.
semsearch itself has the licence Apache-2.0. `make licences` compares this table with `supply/policy.toml`, and
`make sbom` writes the same as a bill of materials (CycloneDX). A licence is missing where the package is not installed
on the machine that made this page.
"""


def page(root: Path) -> str:
    """Return the page; `root` is the checkout."""
    policy = Policy.read()
    rows = [
        [code(each.name), each.version, licence_of(each, policy), ", ".join(map(code, each.locks))]
        for each in read_locks(root)
    ]
    return "\n".join([_INTRODUCTION, table(["package", "version", "licence", "pinned in"], rows)])
