"""The error table: the gRPC status of each error of the domain."""

from __future__ import annotations

from grpc import StatusCode
from semsearch.v1 import error_reason_pb2 as reasons

from index_service import errors
from index_service.coordination import errors as coordination
from index_service.replication import refusals as replication
from serving.error_status import ErrorStatus, ErrorTable, FieldViolation, Resource

_INDEX = "semsearch.index.v1.Index"
_ITEM = "semsearch.index.v1.Item"
_RETRY_SECONDS = 1.0


def _in_field(
    reason: reasons.ErrorReason.ValueType, error: errors.InvalidId | errors.InvalidVector | errors.InvalidFilter
) -> ErrorStatus:
    violation = FieldViolation(error.field, error.description)
    return ErrorStatus(StatusCode.INVALID_ARGUMENT, reason, fields=(violation,))


def _dimension_mismatch(error: errors.DimensionMismatch) -> ErrorStatus:
    return ErrorStatus(
        StatusCode.INVALID_ARGUMENT,
        reasons.ERROR_REASON_DIMENSION_MISMATCH,
        fields=(FieldViolation(error.field, str(error)),),
        metadata={"dimension": str(error.dimension), "length": str(error.length)},
    )


def _model_mismatch(error: errors.ModelMismatch) -> ErrorStatus:
    return ErrorStatus(
        StatusCode.FAILED_PRECONDITION,
        reasons.ERROR_REASON_MODEL_MISMATCH,
        resource=Resource(_INDEX, error.index),
        metadata={"expected_model": error.expected, "model": error.got},
    )


def _replica_stale(error: replication.ReplicaStale) -> ErrorStatus:
    metadata = {"limit_ms": str(round(error.limit_seconds * 1_000))}
    if error.age_seconds is not None:
        metadata["age_ms"] = str(round(error.age_seconds * 1_000))
    return ErrorStatus(
        StatusCode.UNAVAILABLE,
        reasons.ERROR_REASON_REPLICA_STALE,
        retry_after_seconds=_RETRY_SECONDS,
        metadata=metadata,
    )


def _overloaded(_: errors.IndexServiceError) -> ErrorStatus:
    return ErrorStatus(
        StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_OVERLOADED, retry_after_seconds=_RETRY_SECONDS
    )


def _not_started(_: errors.IndexServiceError) -> ErrorStatus:
    """Return the status of an error of the start: its message is printed, and the process exits."""
    return ErrorStatus(StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE)


ERRORS: ErrorTable = {
    errors.IndexNotFound: lambda error: ErrorStatus(
        StatusCode.NOT_FOUND, reasons.ERROR_REASON_INDEX_NOT_FOUND, resource=Resource(_INDEX, error.name)
    ),
    errors.IndexExists: lambda error: ErrorStatus(
        StatusCode.ALREADY_EXISTS, reasons.ERROR_REASON_INDEX_EXISTS, resource=Resource(_INDEX, error.name)
    ),
    errors.IndexInUse: lambda error: ErrorStatus(
        StatusCode.FAILED_PRECONDITION,
        reasons.ERROR_REASON_INDEX_IN_USE,
        resource=Resource(_INDEX, error.name),
        metadata={"aliases": ",".join(error.aliases)},
    ),
    errors.ItemNotFound: lambda error: ErrorStatus(
        StatusCode.NOT_FOUND, reasons.ERROR_REASON_ITEM_NOT_FOUND, resource=Resource(_ITEM, error.item_id)
    ),
    errors.SnapshotEnded: lambda _: ErrorStatus(StatusCode.ABORTED, reasons.ERROR_REASON_SNAPSHOT_ENDED),
    errors.InvalidId: lambda error: _in_field(reasons.ERROR_REASON_INVALID_ID, error),
    errors.InvalidVector: lambda error: _in_field(reasons.ERROR_REASON_INVALID_VECTOR, error),
    errors.InvalidFilter: lambda error: _in_field(reasons.ERROR_REASON_INVALID_FILTER, error),
    errors.InvalidAttributePath: lambda error: ErrorStatus(
        StatusCode.INVALID_ARGUMENT,
        reasons.ERROR_REASON_INVALID_FIELD,
        fields=(FieldViolation(error.path, error.problem),),
    ),
    errors.DimensionMismatch: _dimension_mismatch,
    errors.ModelMismatch: _model_mismatch,
    errors.PositionOutOfDate: lambda error: ErrorStatus(
        StatusCode.INVALID_ARGUMENT,
        reasons.ERROR_REASON_INVALID_PAGE_TOKEN,
        fields=(FieldViolation("index_uid", str(error)),),
    ),
    errors.InvalidExport: lambda _: ErrorStatus(StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_EXPORT_DAMAGED),
    errors.ExportTooNew: lambda error: ErrorStatus(
        StatusCode.FAILED_PRECONDITION,
        reasons.ERROR_REASON_EXPORT_TOO_NEW,
        metadata={"version": str(error.found), "known_version": str(error.known)},
    ),
    errors.TooManyOperations: _overloaded,
    errors.TooManyWrites: _overloaded,
    errors.TooManyOpenFiles: _overloaded,
    coordination.LeaseLost: lambda error: ErrorStatus(
        StatusCode.ABORTED, reasons.ERROR_REASON_LEASE_LOST, metadata={"lease": error.lease}
    ),
    coordination.RecordChanged: lambda error: ErrorStatus(
        StatusCode.ABORTED, reasons.ERROR_REASON_RECORD_CHANGED, metadata={"version": str(error.version)}
    ),
    coordination.TooManyNames: lambda error: ErrorStatus(
        StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_TOO_MANY_NAMES, metadata={"limit": str(error.limit)}
    ),
    errors.InvalidName: lambda error: ErrorStatus(
        StatusCode.INVALID_ARGUMENT,
        reasons.ERROR_REASON_INVALID_FIELD,
        fields=(FieldViolation("name", error.problem),),
    ),
    errors.EngineNotConfigured: lambda error: ErrorStatus(
        StatusCode.FAILED_PRECONDITION,
        reasons.ERROR_REASON_ENGINE_CANNOT,
        metadata={"engine": error.engine},
    ),
    errors.ClusterUnavailable: lambda _: ErrorStatus(
        StatusCode.UNAVAILABLE, reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE, retry_after_seconds=_RETRY_SECONDS
    ),
    errors.TooDeep: lambda _: ErrorStatus(StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_ENGINE_CANNOT),
    errors.NotWithEngine: lambda _: ErrorStatus(StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_ENGINE_CANNOT),
    errors.BuildFailed: lambda _: ErrorStatus(StatusCode.INTERNAL, reasons.ERROR_REASON_INTERNAL),
    errors.OpeningFailed: lambda _: ErrorStatus(StatusCode.INTERNAL, reasons.ERROR_REASON_INTERNAL),
    errors.StorageFull: lambda _: ErrorStatus(StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_STORAGE_FULL),
    replication.ReadReplica: lambda error: ErrorStatus(
        StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_READ_REPLICA, metadata={"writer": error.writer}
    ),
    replication.ReplicaStale: _replica_stale,
    replication.ReplicaBehind: lambda _: ErrorStatus(
        StatusCode.UNAVAILABLE, reasons.ERROR_REASON_REPLICA_BEHIND, retry_after_seconds=_RETRY_SECONDS
    ),
    errors.DataFolderInUse: _not_started,
    errors.PlaceUnusable: _not_started,
    errors.SqliteTooOld: _not_started,
    errors.StoreDamaged: lambda error: ErrorStatus(
        StatusCode.DATA_LOSS, reasons.ERROR_REASON_STORE_DAMAGED, metadata={"file": error.path.name}
    ),
}
