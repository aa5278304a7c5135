"""Engines for tests: Annoy builds in the test's own process, because starting another for each forest takes longer."""

from pathlib import Path

from index_service.definition import EngineKind, IndexDefinition
from index_service.engines.annoy import FOREST, AnnoyEngine
from index_service.engines.annoy_build import build_forest
from index_service.engines.contract import Engine, Progress
from index_service.engines.exact import ExactEngine


class InProcessAnnoyEngine(AnnoyEngine):
    def build(self, vectors_file: Path, folder: Path, progress: Progress) -> tuple[str, ...]:
        build_forest(vectors_file, folder / FOREST, self.trees, self.threads, progress)
        return (FOREST,)


def engine_of(definition: IndexDefinition) -> Engine:
    return InProcessAnnoyEngine(trees=10) if definition.engine is EngineKind.ANNOY else ExactEngine()
