"""All engines behind one catalog: those of this machine, and a real Weaviate where there is one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.weaviate_process import WeaviateServer, weaviate_server
from index_service.attributes import AttributePath
from index_service.backends import Backend, Backends
from index_service.contract import Index
from index_service.definition import LOCAL_ENGINES, EngineKind, IndexDefinition
from index_service.local.catalog import open_catalog
from tests.unit.index_service.conftest import NEVER
from tests.unit.index_service.engines_in_process import engine_of
from tests.weaviate_server import need_weaviate

DIMENSION = 8
MODEL = "model"
# Every engine, in the order of the table.
ENGINES = tuple(EngineKind)

Create = Callable[..., Index]


# One for the session: a start takes some seconds, and each test has indexes of its own.
@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    program = need_weaviate()
    with weaviate_server(tmp_path_factory.mktemp("weaviate"), program) as started:
        yield started


@pytest.fixture(scope="session")
def clusters(server: WeaviateServer) -> Iterator[Backend]:
    from index_service.weaviate.catalog import open_weaviate
    from index_service.weaviate.cluster import Options

    with open_weaviate(Options((server.address,), 1, "QUORUM", "")) as catalog:
        yield Backend(frozenset({EngineKind.WEAVIATE}), catalog)


@pytest.fixture(params=ENGINES, ids=[engine.value for engine in ENGINES])
def engine(request: pytest.FixtureRequest) -> EngineKind:
    kind: EngineKind = request.param
    return kind


@pytest.fixture
def backends(engine: EngineKind, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backends]:
    """This machine's indexes, and a cluster's if the engine needs one."""
    with ExitStack() as stack:
        local = stack.enter_context(open_catalog(tmp_path / "index", engine_of, NEVER))
        others = [] if engine in LOCAL_ENGINES else [request.getfixturevalue("clusters")]
        yield Backends([Backend(LOCAL_ENGINES, local), *others])


@pytest.fixture
def name() -> str:
    """A name that no other test has, with all kinds of characters."""
    return f"Images.of_Test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def create(backends: Backends, engine: EngineKind, name: str) -> Create:
    def make(suffix: str = "", indexed: tuple[str, ...] = (), dimension: int = DIMENSION) -> Index:
        paths = tuple(AttributePath.parse(path) for path in indexed)
        return backends.create(
            IndexDefinition(
                name + suffix, dimension, MODEL, engine=engine, indexed_attributes=paths, labels={"made-by": "a test"}
            )
        )

    return make
