"""An index's immutable definition."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from index_service.attributes import AttributePath

NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}")
MAX_DIMENSION = 4_096
DEFAULT_RECALL_TARGET = 0.95


class EngineKind(StrEnum):
    """How an index is searched, and where it is kept; files hold the value."""

    ANNOY = "annoy"
    EXACT = "exact"
    HNSW = "hnsw"
    WEAVIATE = "weaviate"


LOCAL_ENGINES = frozenset({EngineKind.ANNOY, EngineKind.EXACT, EngineKind.HNSW})


@dataclass(frozen=True)
class IndexDefinition:
    """An index: its vectors' dimension and model, its engine and how its attributes are kept."""

    name: str
    dimension: int
    model_id: str
    engine: EngineKind = EngineKind.ANNOY
    recall_target: float = DEFAULT_RECALL_TARGET
    indexed_attributes: tuple[AttributePath, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    created_microseconds: int = 0  # since 1970, UTC

    def to_json(self) -> str:
        """Return the definition as the text that the store keeps."""
        return json.dumps(
            {
                "name": self.name,
                "dimension": self.dimension,
                "model_id": self.model_id,
                "engine": self.engine.value,
                "recall_target": self.recall_target,
                "indexed_attributes": [str(path) for path in self.indexed_attributes],
                "labels": dict(self.labels),
                "created_microseconds": self.created_microseconds,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> IndexDefinition:
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: the text is not a definition.
        """
        fields = json.loads(text)
        return cls(
            name=fields["name"],
            dimension=int(fields["dimension"]),
            model_id=fields["model_id"],
            engine=EngineKind(fields["engine"]),
            recall_target=float(fields["recall_target"]),
            indexed_attributes=tuple(AttributePath.parse(path) for path in fields["indexed_attributes"]),
            labels=dict(fields["labels"]),
            created_microseconds=int(fields["created_microseconds"]),
        )
