"""The suite on machines, for all tests of a module."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.load import Load
from tests.cluster.pictures import embedded, embedded_words
from tests.cluster.suite import Suite, suite
from tests.needs import need_namespaces

PICTURES = 400
INITIAL = 40


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """One suite for all tests of a module, because starting it takes half a minute."""
    need_namespaces()
    with suite(tmp_path_factory.mktemp("machines"), embedders=1) as made:
        yield made


@pytest.fixture(scope="module")
def new_load(running: Suite) -> Callable[[], Load]:
    """Return what makes loads, each for a collection of its own that has some images."""
    pictures, words = embedded(running.an_embedder(), PICTURES), embedded_words(running.an_embedder())
    numbers = itertools.count()

    def new() -> Load:
        load = Load(running.gallery(f"test-{next(numbers)}"), pictures, words)
        load.fill(INITIAL)
        return load

    return new
