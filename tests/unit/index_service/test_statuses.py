import sys
from collections.abc import Iterator

import grpc
import pytest
from semsearch.v1 import error_reason_pb2 as reasons

from index_service import errors
from index_service.api.statuses import ERRORS


def subclasses(base: type[errors.IndexServiceError]) -> Iterator[type[errors.IndexServiceError]]:
    for cls in base.__subclasses__():
        yield cls
        yield from subclasses(cls)


@pytest.mark.parametrize("cls", list(subclasses(errors.IndexServiceError)))
def test_every_error_has_a_status(cls: type[errors.IndexServiceError]) -> None:
    assert any(base in ERRORS for base in cls.__mro__)
    assert cls.__name__ in (sys.modules[cls.__module__].__doc__ or "")


def test_errors_of_the_caller_are_never_internal() -> None:
    status = ERRORS[errors.InvalidId](errors.InvalidId("items[0].id", "is empty."))
    assert (status.code, status.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_INVALID_ID)
    assert status.fields[0].field == "items[0].id"
