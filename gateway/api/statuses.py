"""The gRPC status of each error of the core."""

from __future__ import annotations

import grpc
from semsearch.v1 import error_reason_pb2 as reasons

from gateway import errors
from gateway.backends import refusals
from gateway.backups import errors as backups
from serving.error_status import ErrorStatus, ErrorTable, FieldViolation, Resource

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _refused(error: refusals.Refused) -> ErrorStatus:
    """Pass on a refusal of the embedder or the index."""
    refusal = error.refusal
    name = f"ERROR_REASON_{refusal.reason}"
    known = name in reasons.ErrorReason.keys()  # noqa: SIM118 — not a dict: it has no `in`
    return ErrorStatus(
        _CODES[refusal.code],
        # A newer service may have reasons that are unknown here.
        reasons.ErrorReason.Value(name) if known else reasons.ERROR_REASON_UNSPECIFIED,
        fields=tuple(FieldViolation(each.field, each.description) for each in refusal.violations),
        retry_after_seconds=refusal.retry_after_seconds,
        metadata=refusal.metadata,
    )


def _invalid(
    reason: reasons.ErrorReason.ValueType, field: str, problem: str, metadata: dict[str, str] | None = None
) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT, reason, fields=(FieldViolation(field, problem),), metadata=metadata or {}
    )


def _failed_precondition(reason: reasons.ErrorReason.ValueType) -> ErrorStatus:
    return ErrorStatus(grpc.StatusCode.FAILED_PRECONDITION, reason)


def _storage_full(_: Exception) -> ErrorStatus:
    return ErrorStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_STORAGE_FULL)


def _unavailable(
    reason: reasons.ErrorReason.ValueType, retry_after_seconds: float, metadata: dict[str, str] | None = None
) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE, reason, retry_after_seconds=retry_after_seconds, metadata=metadata or {}
    )


def _about_collection(code: grpc.StatusCode, reason: reasons.ErrorReason.ValueType, collection: str) -> ErrorStatus:
    return ErrorStatus(code, reason, resource=Resource("semsearch.v1.Collection", collection))


def _about_model(code: grpc.StatusCode, reason: reasons.ErrorReason.ValueType, model: str) -> ErrorStatus:
    return ErrorStatus(code, reason, resource=Resource("semsearch.v1.Model", model))


ERRORS: ErrorTable = {
    errors.InvalidId: lambda e: _invalid(reasons.ERROR_REASON_INVALID_ID, e.field, e.problem),
    errors.ImageTooLarge: lambda e: _invalid(
        reasons.ERROR_REASON_IMAGE_TOO_LARGE, "content", str(e), {"limit": str(e.limit)}
    ),
    errors.CancelledTerms: lambda e: _invalid(reasons.ERROR_REASON_CANCELLED_TERMS, "terms", str(e)),
    errors.StreamConfigError: lambda e: _invalid(reasons.ERROR_REASON_STREAM_CONFIG, "config", str(e)),
    errors.CollectionNotFound: lambda e: _about_collection(
        grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_COLLECTION_NOT_FOUND, e.collection
    ),
    errors.CollectionExists: lambda e: _about_collection(
        grpc.StatusCode.ALREADY_EXISTS, reasons.ERROR_REASON_COLLECTION_EXISTS, e.collection
    ),
    errors.CollectionOfOtherModel: lambda e: _about_collection(
        grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_MISMATCH, e.collection
    ),
    errors.ListingOutOfDate: lambda e: _invalid(reasons.ERROR_REASON_INVALID_PAGE_TOKEN, "page_token", str(e)),
    errors.SearchOutOfDate: lambda e: _invalid(reasons.ERROR_REASON_INVALID_PAGE_TOKEN, "page_token", str(e)),
    errors.UnknownModel: lambda e: _about_model(
        grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_MODEL_NOT_FOUND, e.name
    ),
    errors.AmbiguousModel: lambda e: _invalid(reasons.ERROR_REASON_INVALID_FIELD, "id", str(e)),
    errors.SwitchUnderWay: lambda e: _about_model(
        grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_SWITCH_UNDER_WAY, e.target
    ),
    errors.SwitchNotStored: _storage_full,
    errors.ImageNotFound: lambda e: ErrorStatus(
        grpc.StatusCode.NOT_FOUND,
        reasons.ERROR_REASON_IMAGE_NOT_FOUND,
        resource=Resource("semsearch.v1.Image", f"{e.collection}/{e.image_id}"),
    ),
    errors.BlobMissing: lambda e: ErrorStatus(
        grpc.StatusCode.DATA_LOSS,
        reasons.ERROR_REASON_BLOB_MISSING,
        resource=Resource("semsearch.v1.Image", e.sha256),
    ),
    errors.OriginalElsewhere: lambda _: _failed_precondition(reasons.ERROR_REASON_ORIGINAL_ELSEWHERE),
    errors.MapNotFound: lambda e: _about_collection(
        grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_MAP_NOT_FOUND, e.collection
    ),
    errors.MapFailed: lambda _: _failed_precondition(reasons.ERROR_REASON_MAP_FAILED),
    errors.MapCancelled: lambda _: ErrorStatus(grpc.StatusCode.ABORTED, reasons.ERROR_REASON_MAP_CANCELLED),
    errors.MapNotStored: _storage_full,
    errors.StorageFull: _storage_full,
    errors.ImageStoreUnusable: lambda _: _failed_precondition(reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE),
    backups.BackupsOff: lambda _: _failed_precondition(reasons.ERROR_REASON_BACKUP_PLACE_REFUSED),
    backups.BackupPlaceRefused: lambda _: _failed_precondition(reasons.ERROR_REASON_BACKUP_PLACE_REFUSED),
    backups.BackupPlaceFull: _storage_full,
    backups.BackupPlaceUnavailable: lambda e: _unavailable(
        reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE, e.retry_after_seconds
    ),
    backups.BackupNotFound: lambda e: ErrorStatus(
        grpc.StatusCode.NOT_FOUND,
        reasons.ERROR_REASON_BACKUP_NOT_FOUND,
        resource=Resource("semsearch.v1.Backup", e.backup_id),
    ),
    backups.BackupDamaged: lambda e: ErrorStatus(
        grpc.StatusCode.DATA_LOSS, reasons.ERROR_REASON_BACKUP_DAMAGED, metadata={"key": e.key}
    ),
    backups.BackupTooNew: lambda _: _failed_precondition(reasons.ERROR_REASON_BACKUP_TOO_NEW),
    backups.BackupUnderWay: lambda _: _failed_precondition(reasons.ERROR_REASON_BACKUP_UNDER_WAY),
    backups.NotEmpty: lambda _: _failed_precondition(reasons.ERROR_REASON_NOT_EMPTY),
    backups.RestoreBegun: lambda _: _failed_precondition(reasons.ERROR_REASON_NOT_EMPTY),
    backups.IndexesDamaged: lambda _: ErrorStatus(grpc.StatusCode.DATA_LOSS, reasons.ERROR_REASON_STORE_DAMAGED),
    errors.WordsNotReady: lambda e: _unavailable(reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE, e.retry_after_seconds),
    errors.DependencyUnavailable: lambda e: _unavailable(
        reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE, e.retry_after_seconds, {"service": e.service}
    ),
    errors.OwnerChanged: lambda e: _unavailable(reasons.ERROR_REASON_OWNER_CHANGED, e.retry_after_seconds),
    refusals.Refused: _refused,
}
