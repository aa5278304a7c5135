"""From a server's status to an exception with a reason and a hint."""

from __future__ import annotations

import pickle

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from semsearch.errors import (
    AccessDenied,
    AlreadyExists,
    ErrorDetails,
    FolderStopped,
    InvalidRequest,
    NotFound,
    Overloaded,
    SemsearchError,
    ServerFailed,
    ServerNotReady,
    TimedOut,
    WrongState,
)
from semsearch.rpc_errors import GATEWAY, from_rpc_error, from_status


def status(code: int, *details: Message, message: str = "It is so.") -> status_pb2.Status:
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (code_pb2.UNAVAILABLE, ServerNotReady),
        (code_pb2.RESOURCE_EXHAUSTED, Overloaded),
        (code_pb2.DEADLINE_EXCEEDED, TimedOut),
        (code_pb2.INVALID_ARGUMENT, InvalidRequest),
        (code_pb2.OUT_OF_RANGE, InvalidRequest),
        (code_pb2.NOT_FOUND, NotFound),
        (code_pb2.ALREADY_EXISTS, AlreadyExists),
        (code_pb2.FAILED_PRECONDITION, WrongState),
        (code_pb2.INTERNAL, ServerFailed),
        (code_pb2.DATA_LOSS, ServerFailed),
        (code_pb2.UNAUTHENTICATED, AccessDenied),
        (code_pb2.PERMISSION_DENIED, AccessDenied),
    ],
)
def test_each_code_has_its_exception_with_the_servers_message(code: int, expected: type[SemsearchError]) -> None:
    error = from_status(status(code))
    assert type(error) is expected
    assert (str(error), error.reason, error.hint) == ("It is so.", "", "")


def test_details_are_read_and_a_reason_has_its_hint() -> None:
    error = from_status(
        status(
            code_pb2.RESOURCE_EXHAUSTED,
            error_details_pb2.ErrorInfo(reason="OVERLOADED", domain="semsearch", metadata={"queue": "64"}),
            error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=250_000_000)),
            error_details_pb2.BadRequest(
                field_violations=[error_details_pb2.BadRequest.FieldViolation(field="a.b", description="is odd")]
            ),
        )
    )
    assert (error.reason, error.hint) == ("OVERLOADED", "Try again in a moment.")
    assert error.details.metadata == {"queue": "64"}
    assert error.details.retry_after_seconds == 0.25
    assert error.details.fields == (("a.b", "is odd"),)


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        (grpc.StatusCode.CANCELLED, "CANCELLED", ServerNotReady),
        (grpc.StatusCode.INTERNAL, "Internal error from Core", ServerNotReady),
        (grpc.StatusCode.CANCELLED, "Channel closed!", ServerFailed),
        (grpc.StatusCode.INTERNAL, "Something else", ServerFailed),
    ],
)
def test_a_call_that_a_server_ends_without_a_status_may_be_made_again(
    code: grpc.StatusCode, words: str, expected: type[SemsearchError]
) -> None:
    nothing = grpc.aio.Metadata()
    error = from_rpc_error(grpc.aio.AioRpcError(code, nothing, nothing, details=words), "here:1", GATEWAY)
    assert type(error) is expected
    assert (error.reason == "SHUTTING_DOWN") is (expected is ServerNotReady)


def test_a_reason_of_another_domain_is_not_taken_for_one_of_ours() -> None:
    foreign = error_details_pb2.ErrorInfo(reason="EMPTY_QUERY", domain="example.com")
    assert from_status(status(code_pb2.INVALID_ARGUMENT, foreign)).reason == ""


def test_a_status_without_a_message_is_named_by_its_code() -> None:
    assert str(from_status(status(code_pb2.INTERNAL, message=""))) == "INTERNAL"


@pytest.mark.parametrize(
    "error", [ServerNotReady("Wait.", ErrorDetails("NOT_READY"), "Hint."), FolderStopped("a", "B", "c")]
)
def test_an_error_crosses_processes(error: SemsearchError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.details, again.hint) == (str(error), error.details, error.hint)
