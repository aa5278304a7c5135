"""Opens the backends that the settings name: indexes on this machine, and those of clusters.

A new kind of cluster is one more line of `CLUSTERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from index_service.backends import Backend, Backends
from index_service.contract import AnyCatalog
from index_service.definition import LOCAL_ENGINES, EngineKind
from index_service.errors import EngineNotConfigured
from index_service.settings import IndexSettings, split_addresses


@dataclass(frozen=True)
class ClusterKind:
    """How a cluster is opened: by a function that returns None if no setting names one; `remedy` says which do."""

    open: Callable[[IndexSettings], AbstractContextManager[AnyCatalog] | None]
    remedy: str


def _weaviate(settings: IndexSettings) -> AbstractContextManager[AnyCatalog] | None:
    addresses = split_addresses(settings.weaviate_addresses)
    if not addresses:
        return None
    try:
        # Its library is installed only where a cluster is used.
        from index_service.weaviate.catalog import open_weaviate
        from index_service.weaviate.cluster import Options
    except ModuleNotFoundError as error:
        raise EngineNotConfigured(
            EngineKind.WEAVIATE, f"The library {error.name} is not installed: run `make weaviate-setup`."
        ) from error
    return open_weaviate(
        Options(
            addresses,
            settings.weaviate_replication_factor,
            settings.weaviate_consistency,
            settings.weaviate_api_key.get_secret_value(),
        )
    )


CLUSTERS = {
    EngineKind.WEAVIATE: ClusterKind(
        _weaviate, "Name the nodes of a cluster in SEMSEARCH_INDEX_WEAVIATE_ADDRESSES, and run `make weaviate-setup`."
    ),
}


@contextmanager
def open_backends(settings: IndexSettings, local: AnyCatalog) -> Iterator[Backends]:
    """Open the clusters that the settings name, beside the indexes on this machine; close them at the end.

    Raises:
        EngineNotConfigured: a library that a cluster needs is not installed.
    """
    with ExitStack() as stack:
        backends = [Backend(LOCAL_ENGINES, local)]
        missing: dict[EngineKind, str] = {}
        for engine, kind in CLUSTERS.items():
            catalog = kind.open(settings)
            if catalog is None:
                missing[engine] = kind.remedy
            else:
                backends.append(Backend(frozenset({engine}), stack.enter_context(catalog)))
        yield Backends(backends, missing)
