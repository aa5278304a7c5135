"""Creates the engine that an index's definition names."""

from __future__ import annotations

from index_service.definition import EngineKind, IndexDefinition
from index_service.engines.annoy import TREES, AnnoyEngine
from index_service.engines.contract import Engine
from index_service.engines.exact import ExactEngine
from index_service.engines.hnsw import HnswEngine


def engine_of(definition: IndexDefinition, threads: int = 1, trees: int = TREES) -> Engine:
    """Return a new engine; `threads` build a segment (-1: all cores), and `trees` is the size of an Annoy forest."""
    match definition.engine:
        case EngineKind.ANNOY:
            return AnnoyEngine(definition.recall_target, threads, trees)
        case EngineKind.HNSW:
            return HnswEngine(definition.recall_target, threads)
        case EngineKind.EXACT:
            return ExactEngine()
        case _:
            raise AssertionError(f"{definition.engine} has no segments")
