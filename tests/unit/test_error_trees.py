"""The trees of errors that docstrings draw are those of the classes."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from types import ModuleType

import pytest

MODULES = (
    "semsearch.errors",
    "embedder_service.errors",
    "gateway.backends.refusals",
    "gateway.backups.errors",
    "gateway.errors",
    "index_service.coordination.errors",
    "index_service.errors",
    "index_service.replication.errors",
    "index_service.replication.refusals",
    "launcher.errors",
    "serving.access.errors",
    "trainer.errors",
)
_BRANCH = re.compile(r"[├└]── (\w+)")
_LEVEL_CHARACTERS = 4  # "├── ", "│   " or blanks

Pairs = set[tuple[str, str]]  # a class and its base


def drawn(module: ModuleType) -> tuple[str, Pairs]:
    """Returns the root of the tree in a module's docstring, and the tree."""
    lines = inspect.getdoc(module).splitlines()  # type: ignore[union-attr]
    root_at = next(number for number, line in enumerate(lines) if _BRANCH.search(line)) - 1
    root = lines[root_at].strip()
    margin = len(lines[root_at]) - len(lines[root_at].lstrip())
    path = [root]
    pairs: Pairs = set()
    for line in lines[root_at + 1 :]:
        if (branch := _BRANCH.search(line)) is None:
            break
        depth = (branch.start() - margin) // _LEVEL_CHARACTERS
        path[depth + 1 :] = [branch[1]]
        pairs.add((branch[1], path[depth]))
    return root, pairs


def defined(module: ModuleType, base: type) -> Pairs:
    """Returns the classes below `base` that a module defines itself."""
    pairs: Pairs = set()
    for cls in base.__subclasses__():
        if cls.__module__ == module.__name__:
            pairs |= {(cls.__name__, base.__name__), *defined(module, cls)}
    return pairs


@pytest.mark.parametrize("name", MODULES)
def test_a_drawn_tree_of_errors_is_that_of_the_classes(name: str) -> None:
    module = import_module(name)
    root, tree = drawn(module)
    assert tree == defined(module, getattr(module, root))
