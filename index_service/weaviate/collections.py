"""An index as a collection: its record, its schema, and its items as objects.

The record lies in the collection's description, which Weaviate keeps with the schema on a majority of its nodes: the
definition, the uid, whether an import still fills it, and up to which number rows have been given out.

A write that is broken off may leave an object that is stored but not in the vector index. Weaviate 1.35 leaves the
index alone when it then gets the same vector for this object, so no search would ever find it. Only another vector or
another place on the globe makes it index an object again: each attempt to write a vector therefore has a place of its
own (`attempt`), which nothing indexes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    ReplicationDeletionStrategy,
    Tokenization,
    VectorDistances,
)
from weaviate.classes.data import DataObject, GeoCoordinate
from weaviate.collections.classes.config import CollectionConfig

from index_service.definition import IndexDefinition
from index_service.errors import StoreDamaged
from index_service.items import StoredRow
from index_service.vectors import Vectors
from index_service.weaviate.conditions import TOKENS, tokens
from index_service.weaviate.names import to_weaviate

RECORD_VERSION = 1
# A search whose filter leaves fewer items than this compares all of them.
FLAT_SEARCH_ITEMS = 40_000
# Candidates that a search keeps: recall 0.95 and more for 300 numbers at 200,000 items.
_EF = 256
_EF_CONSTRUCTION = 128
_MAX_CONNECTIONS = 32
_ATTEMPT = Property(name="attempt", data_type=DataType.GEO_COORDINATES, index_filterable=False)
# A latitude goes to 90 and a longitude to 180, as float32, which has 20 bits of a number below 64 exactly.
_LATITUDE_STEPS = _LONGITUDE_STEPS = 1 << 20
_STEPS_A_DEGREE = 1 << 14
_ATTEMPTS_A_ROW = 64
_NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")

Properties: TypeAlias = dict[str, Any]
NewObject: TypeAlias = DataObject[Properties, None]


@dataclass(frozen=True)
class Record:
    """What the collection's description holds."""

    definition: IndexDefinition
    uid: str
    is_complete: bool
    rows_up_to: int

    def to_json(self) -> str:
        """Return the description."""
        return json.dumps(
            {
                "semsearch": RECORD_VERSION,
                "definition": json.loads(self.definition.to_json()),
                "uid": self.uid,
                "complete": self.is_complete,
                "rows_up_to": self.rows_up_to,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read a description; raise ValueError, KeyError or TypeError if it is not one of ours."""
        fields = json.loads(text)
        if fields["semsearch"] != RECORD_VERSION:
            raise ValueError(f"it has format version {fields['semsearch']}; this program reads {RECORD_VERSION}")
        definition = IndexDefinition.from_json(json.dumps(fields["definition"]))
        return cls(definition, str(fields["uid"]), bool(fields["complete"]), int(fields["rows_up_to"]))


def new_record(definition: IndexDefinition, *, is_complete: bool) -> Record:
    """Return the record of a new index."""
    return Record(definition, str(uuid.uuid4()), is_complete, 0)


def create(client: WeaviateClient, record: Record, replication_factor: int) -> None:
    """Create the collection of a new index."""
    client.collections.create(
        to_weaviate(record.definition.name),
        description=record.to_json(),
        properties=[
            Property(name="item", data_type=DataType.TEXT, index_filterable=False, index_searchable=False),
            Property(name="attributes", data_type=DataType.TEXT, index_filterable=False, index_searchable=False),
            Property(name="row", data_type=DataType.INT, index_filterable=False, index_range_filters=True),
            Property(name="sequence", data_type=DataType.INT, index_filterable=False, index_range_filters=True),
            Property(
                name=TOKENS,
                data_type=DataType.TEXT_ARRAY,
                index_filterable=True,
                index_searchable=False,
                tokenization=Tokenization.FIELD,
            ),
            _ATTEMPT,
        ],
        vector_config=Configure.Vectors.self_provided(
            vector_index_config=Configure.VectorIndex.hnsw(
                distance_metric=VectorDistances.COSINE,
                ef=_EF,
                ef_construction=_EF_CONSTRUCTION,
                max_connections=_MAX_CONNECTIONS,
                flat_search_cutoff=FLAT_SEARCH_ITEMS,
            )
        ),
        # Of two versions of an item, also a deleted one, the later counts on every node.
        replication_config=Configure.replication(
            factor=replication_factor, deletion_strategy=ReplicationDeletionStrategy.TIME_BASED_RESOLUTION
        ),
    )


def complete_schema(client: WeaviateClient, config: CollectionConfig) -> None:
    """Add to a collection of an older version what it lacks."""
    if all(each.name != _ATTEMPT.name for each in config.properties):
        client.collections.use(config.name).config.add_property(_ATTEMPT)


def describe(client: WeaviateClient, record: Record) -> None:
    """Replace a collection's record."""
    client.collections.use(to_weaviate(record.definition.name)).config.update(description=record.to_json())


def with_rows(record: Record, rows_up_to: int) -> Record:
    """Return a record that gives out rows up to another number."""
    return replace(record, rows_up_to=rows_up_to)


def object_id(item_id: str) -> str:
    """Return the UUID of an item's object: the same for the same id, so that a repeated write changes nothing."""
    return str(uuid.uuid5(_NAMESPACE, item_id))


def to_object(row: StoredRow, attempt: int = 0) -> NewObject:
    """Return the object of a row, for one of several attempts to write it."""
    return DataObject(
        uuid=object_id(row.id),
        properties={
            "item": row.id,
            "attributes": row.attributes,
            "row": row.row,
            "sequence": row.sequence,
            TOKENS: tokens(row.attributes),
            _ATTEMPT.name: _place(row.row, attempt),
        },
        vector=np.frombuffer(row.vector, dtype="<f4").tolist(),
    )


def to_vector(numbers: Sequence[float], definition: IndexDefinition) -> Vectors:
    """Return an object's vector; raise StoreDamaged if it has another dimension."""
    if len(numbers) != definition.dimension:
        raise StoreDamaged(Path(definition.name), "an object has no vector of the right size")
    return np.array(numbers, dtype=np.float32)


def _place(row: int, attempt: int) -> GeoCoordinate:
    """Return a place that no other attempt to write a vector of this item has: whoever writes one takes a new row."""
    latitude, rest = row % _LATITUDE_STEPS, row // _LATITUDE_STEPS
    longitude = (rest * _ATTEMPTS_A_ROW + attempt % _ATTEMPTS_A_ROW) % _LONGITUDE_STEPS
    return GeoCoordinate(latitude=latitude / _STEPS_A_DEGREE, longitude=longitude / _STEPS_A_DEGREE)
