"""Indexes: their definitions and descriptions."""

from __future__ import annotations

import math

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.attributes import AttributePath
from index_service.contract import Index
from index_service.definition import (
    DEFAULT_RECALL_TARGET,
    MAX_DIMENSION,
    NAME_PATTERN,
    EngineKind,
    IndexDefinition,
)
from index_service.descriptions import DamagedIndex, SegmentStats, Stats
from index_service.errors import InvalidAttributePath
from serving.errors import InvalidField

MAX_INDEXED_ATTRIBUTES = 16
MAX_LABELS = 64
MAX_TEXT_CHARACTERS = 512

_ENGINES = {pb.Engine.Value(f"ENGINE_{kind.name}"): kind for kind in EngineKind}
_ENGINE_MESSAGES = {kind: number for number, kind in _ENGINES.items()}


def to_engine(engine: pb.Engine.ValueType, unspecified: EngineKind, field: str) -> EngineKind:
    """Return an engine, or what it means that none is named; raise `InvalidField` for an unknown one."""
    if engine == pb.ENGINE_UNSPECIFIED:
        return unspecified
    if engine not in _ENGINES:
        raise InvalidField(field, f"is not an engine that this version knows: {engine}.")
    return _ENGINES[engine]


def to_definition(message: pb.Index, default_engine: EngineKind = EngineKind.ANNOY) -> IndexDefinition:
    """Return the definition of an index to create.

    Raises:
        InvalidField: a field is missing, malformed or out of range.
    """
    if not 1 <= message.dimension <= MAX_DIMENSION:
        raise InvalidField("index.dimension", f"must be 1 to {MAX_DIMENSION:,}; it was {message.dimension}.")
    if not 1 <= len(message.model_id) <= MAX_TEXT_CHARACTERS:
        raise InvalidField("index.model_id", f"must have 1 to {MAX_TEXT_CHARACTERS} characters.")
    if math.isnan(message.recall_target) or not 0 <= message.recall_target <= 1:
        raise InvalidField("index.recall_target", f"must be 0 to 1; it was {message.recall_target:g}.")
    if len(message.labels) > MAX_LABELS:
        raise InvalidField("index.labels", f"are {len(message.labels)}; at most {MAX_LABELS} are allowed.")
    if any(max(len(key), len(text)) > MAX_TEXT_CHARACTERS for key, text in message.labels.items()):
        raise InvalidField("index.labels", f"may have at most {MAX_TEXT_CHARACTERS} characters each.")
    return IndexDefinition(
        name=to_name(message.name, "index.name"),
        dimension=message.dimension,
        model_id=message.model_id,
        engine=to_engine(message.engine, default_engine, "index.engine"),
        recall_target=message.recall_target or DEFAULT_RECALL_TARGET,
        indexed_attributes=_paths(message),
        labels=dict(message.labels),
    )


def to_name(name: str, field: str) -> str:
    """Return the name of a new index or alias.

    Raises:
        InvalidField: it is not a valid name.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidField(
            field,
            f'must be 1 to 128 letters, digits, ".", "_" and "-", beginning with a letter; it was "{name}".',
        )
    return name


def required(name: str, field: str) -> str:
    """Return the name of an existing index or alias.

    Raises:
        InvalidField: it is empty.
    """
    if not name:
        raise InvalidField(field, "is missing; it must be the name of an index or an alias.")
    return name


def from_index(index: Index, aliases: tuple[str, ...]) -> pb.Index:
    """Describe an index."""
    stats = index.stats()
    message = from_definition(index.definition)
    message.aliases.extend(aliases)
    message.item_count = stats.item_count
    message.stats.CopyFrom(_stats(stats))
    message.create_time.FromMicroseconds(index.definition.created_microseconds)
    return message


def from_definition(definition: IndexDefinition) -> pb.Index:
    """Return an index's definition."""
    return pb.Index(
        name=definition.name,
        dimension=definition.dimension,
        model_id=definition.model_id,
        engine=_ENGINE_MESSAGES[definition.engine],
        recall_target=definition.recall_target,
        indexed_attributes=[str(path) for path in definition.indexed_attributes],
        labels=definition.labels,
    )


def from_damaged(index: DamagedIndex, aliases: tuple[str, ...]) -> pb.Index:
    """Describe an index that could not be opened, with what is known of it."""
    return pb.Index(name=index.name, aliases=aliases, stats=pb.IndexStats(repairs=[str(index.problem)]))


def _stats(stats: Stats) -> pb.IndexStats:
    message = pb.IndexStats(
        segment_count=stats.segment_count,
        segment_row_count=stats.segment_row_count,
        live_row_count=stats.live_row_count,
        deleted_row_count=stats.deleted_row_count,
        disk_bytes=stats.disk_bytes,
        segment_disk_bytes=stats.segment_disk_bytes,
        repairs=stats.repairs,
        measured_recall=stats.recall,
        segments=[_segment(segment) for segment in stats.segments],
    )
    if stats.measurement is not None:
        message.recall_sample_size = stats.measurement.queries
        message.recall_time.FromNanoseconds(stats.measurement.nanoseconds)
    return message


def _segment(segment: SegmentStats) -> pb.SegmentStats:
    tuned = segment.tuned
    message = pb.SegmentStats(
        row_count=segment.row_count,
        deleted_row_count=segment.deleted_row_count,
        effort=tuned.effort or 0,
        measured_recall=tuned.recall,
        sample_size=tuned.queries,
        milliseconds=tuned.milliseconds or 0.0,
        scan_milliseconds=tuned.scan_milliseconds or 0.0,
        components=tuned.components,
    )
    if segment.written_nanoseconds:
        message.create_time.FromNanoseconds(segment.written_nanoseconds)
    return message


def _paths(message: pb.Index) -> tuple[AttributePath, ...]:
    if len(message.indexed_attributes) > MAX_INDEXED_ATTRIBUTES:
        raise InvalidField("index.indexed_attributes", f"may be at most {MAX_INDEXED_ATTRIBUTES}.")
    paths = []
    for number, text in enumerate(message.indexed_attributes):
        try:
            paths.append(AttributePath.parse(text))
        except InvalidAttributePath as error:
            raise InvalidField(f"index.indexed_attributes[{number}]", f"{error.problem}.") from error
    return tuple(dict.fromkeys(paths))
