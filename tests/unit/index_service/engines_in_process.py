"""Engines for tests, which build in the test's own process, because starting one for each segment takes longer."""

from pathlib import Path

from index_service.definition import EngineKind, IndexDefinition
from index_service.engines.annoy import AnnoyEngine
from index_service.engines.annoy_build import build_forest
from index_service.engines.contract import Engine, Progress
from index_service.engines.exact import ExactEngine
from index_service.engines.hnsw import HnswEngine
from index_service.engines.hnsw_build import build_graph


class InProcess:
    """A substitute for the build process."""

    def run(
        self, engine: str, vectors_file: Path, folder: Path, settings: tuple[float, ...], progress: Progress
    ) -> None:
        build = {"annoy": build_forest, "hnsw": build_graph}[engine]
        build(vectors_file, folder, *settings, progress=progress)

    def stop(self) -> None:
        """Do nothing; builds end at once."""


def annoy_in_process(target: float = 0.95, trees: int = 10) -> AnnoyEngine:
    return AnnoyEngine(target, trees=trees, process=InProcess())


def hnsw_in_process(target: float = 0.95) -> HnswEngine:
    return HnswEngine(target, process=InProcess())


def engine_of(definition: IndexDefinition) -> Engine:
    match definition.engine:
        case EngineKind.ANNOY:
            return annoy_in_process(definition.recall_target)
        case EngineKind.HNSW:
            return hnsw_in_process(definition.recall_target)
        case EngineKind.EXACT:
            return ExactEngine()
