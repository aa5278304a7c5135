"""The error table: the gRPC status of each error of the embedder and of models."""

from __future__ import annotations

import json

from grpc import StatusCode
from semsearch.v1 import error_reason_pb2 as reasons

from embedder_service import errors
from model import errors as model_errors
from serving.error_status import METADATA_CHARACTERS, ErrorStatus, ErrorTable, Resource

_RETRY_SECONDS = 1.0
_FETCH_AGAIN_SECONDS = 5.0


def _invalid(reason: reasons.ErrorReason.ValueType, **metadata: str) -> ErrorStatus:
    return ErrorStatus(StatusCode.INVALID_ARGUMENT, reason, metadata=metadata)


def _unknown_words(error: model_errors.UnknownWords) -> ErrorStatus:
    near = {word: list(each) for word, each in error.named.items()}
    # Half a JSON text is of no use.
    while len(text := json.dumps(near, ensure_ascii=False)) > METADATA_CHARACTERS:
        near.popitem()
    return _invalid(reasons.ERROR_REASON_UNKNOWN_WORDS, suggestions=text)


ERRORS: ErrorTable = {
    model_errors.BundleDamaged: lambda _: ErrorStatus(
        StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_BUNDLE_DAMAGED
    ),
    model_errors.BundleTooNew: lambda _: ErrorStatus(
        StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_BUNDLE_TOO_NEW
    ),
    errors.ModelNotFound: lambda error: ErrorStatus(
        StatusCode.NOT_FOUND,
        reasons.ERROR_REASON_MODEL_NOT_FOUND,
        resource=Resource("semsearch.embedder.v1.Model", error.model_id),
    ),
    model_errors.StorageFull: lambda _: ErrorStatus(StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_STORAGE_FULL),
    errors.RecipeNotFound: lambda error: ErrorStatus(
        StatusCode.NOT_FOUND,
        reasons.ERROR_REASON_RECIPE_NOT_FOUND,
        resource=Resource("semsearch.bundle.v1.Recipe", error.recipe),
    ),
    model_errors.RecipeUnusable: lambda _: ErrorStatus(
        StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_RECIPE_UNUSABLE
    ),
    errors.DownloadFailed: lambda error: ErrorStatus(
        StatusCode.UNAVAILABLE,
        reasons.ERROR_REASON_DOWNLOAD_FAILED,
        retry_after_seconds=_FETCH_AGAIN_SECONDS,
        metadata={"place": error.place},
    ),
    errors.DownloadWrong: lambda error: ErrorStatus(
        StatusCode.DATA_LOSS, reasons.ERROR_REASON_DOWNLOAD_WRONG, metadata={"place": error.place}
    ),
    model_errors.PackageMissing: lambda error: ErrorStatus(
        StatusCode.FAILED_PRECONDITION,
        reasons.ERROR_REASON_PACKAGE_MISSING,
        metadata={"package": error.package},
    ),
    model_errors.PackageFileWrong: lambda _: ErrorStatus(StatusCode.DATA_LOSS, reasons.ERROR_REASON_PACKAGE_FILE_WRONG),
    errors.Overloaded: lambda error: ErrorStatus(
        StatusCode.RESOURCE_EXHAUSTED,
        reasons.ERROR_REASON_OVERLOADED,
        retry_after_seconds=_RETRY_SECONDS,
        metadata={"queued": str(error.queued)},
    ),
    model_errors.NotAnImage: lambda _: _invalid(reasons.ERROR_REASON_NOT_AN_IMAGE),
    model_errors.UnsupportedImage: lambda _: _invalid(reasons.ERROR_REASON_UNSUPPORTED_IMAGE),
    model_errors.DamagedImage: lambda _: _invalid(reasons.ERROR_REASON_DAMAGED_IMAGE),
    model_errors.ImageTooLarge: lambda error: _invalid(reasons.ERROR_REASON_IMAGE_TOO_LARGE, limit=str(error.limit)),
    model_errors.UndecodableImage: lambda _: _invalid(reasons.ERROR_REASON_UNDECODABLE_IMAGE),
    model_errors.InvalidCrop: lambda _: _invalid(reasons.ERROR_REASON_INVALID_CROP),
    model_errors.EmptyQuery: lambda _: _invalid(reasons.ERROR_REASON_EMPTY_QUERY),
    model_errors.UnknownWords: _unknown_words,
    model_errors.CancelledTerms: lambda _: _invalid(reasons.ERROR_REASON_CANCELLED_TERMS),
    model_errors.QueryTooLong: lambda _: _invalid(reasons.ERROR_REASON_QUERY_TOO_LONG),
    model_errors.InvalidWeight: lambda _: _invalid(reasons.ERROR_REASON_INVALID_FIELD),
}
