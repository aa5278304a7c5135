"""All contenders, and which of them are installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module

from benchmarks.index.contenders.contract import Contender

# Names for --only, and the packages that pip installs for them.
PACKAGES = {"numpy": "numpy", "annoy": "annoy", "hnswlib": "hnswlib", "usearch": "usearch", "faiss": "faiss-cpu"}


def load(names: Iterable[str]) -> tuple[list[Contender], Sequence[str]]:
    """Return the contenders with these names, and sentences about those whose package is missing."""
    contenders: list[Contender] = []
    missing = []
    for name in names:
        try:
            module = import_module(f"benchmarks.index.contenders.bare_{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("benchmarks"):
                raise
            missing.append(
                f"{name} was left out, because its package {PACKAGES[name]} is missing. Run `make bench-setup`."
            )
        else:
            contenders.append(module.CONTENDER)
    return contenders, missing
