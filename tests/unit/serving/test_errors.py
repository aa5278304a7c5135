import grpc
import grpc.aio
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from serving.error_status import FieldViolation
from serving.errors import InvalidField, to_status
from serving.received_errors import from_status, is_end_of_server, retry_delay_seconds

# gRPC's limit on trailers.
LIMIT = 8 * 2**10


def violation(status: status_pb2.Status) -> FieldViolation:
    (found,) = (detail for detail in status.details if detail.TypeName().endswith("BadRequest"))
    bad = error_details_pb2.BadRequest()
    found.Unpack(bad)
    return FieldViolation(bad.field_violations[0].field, bad.field_violations[0].description)


def test_a_message_shortens_only_its_quotes() -> None:
    message = to_status(InvalidField("name", f'was "{"x" * 10_000}"; choose another.'), {}).message
    assert message == f'name: was "{"x" * 199}…"; choose another.'


@pytest.mark.parametrize("letter", ["x", "%", "語", '"', "'", "\n"])
def test_a_status_always_fits_into_the_trailers(letter: str) -> None:
    long = letter * 10_000
    status = to_status(InvalidField(f"filter.{long}", f'is "{long}" and {long!r}; choose another.'), {})
    escaped = sum(1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3 for byte in status.message.encode())
    assert escaped + status.ByteSize() * 4 / 3 < LIMIT
    assert status.message.endswith("choose another.")
    assert violation(status).field.startswith("filter.")


def test_a_short_status_is_not_shortened() -> None:
    status = to_status(InvalidField("items[0].id", 'is "a/b".'), {})
    assert status.message == 'items[0].id: is "a/b".'
    assert violation(status) == FieldViolation("items[0].id", 'is "a/b".')


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN])
def test_a_failure_behind_a_service_is_not_the_callers_doing(code: grpc.StatusCode) -> None:
    nothing = grpc.aio.Metadata()
    status = to_status(grpc.aio.AioRpcError(code, nothing, nothing, details=code.name), {})
    assert (status.code, from_status(status)[0]) == (code_pb2.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert retry_delay_seconds(status)


@pytest.mark.parametrize(
    ("code", "words", "is_end"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", True),
        (grpc.StatusCode.CANCELLED, "", True),
        (grpc.StatusCode.INTERNAL, "Internal error from Core", True),
        (grpc.StatusCode.INTERNAL, "The service failed.", False),
        (grpc.StatusCode.NOT_FOUND, "", False),
    ],
)
def test_the_end_of_a_server_is_recognised_where_it_sent_no_status(
    code: grpc.StatusCode, words: str, is_end: bool
) -> None:
    nothing = grpc.aio.Metadata()
    assert is_end_of_server(grpc.aio.AioRpcError(code, nothing, nothing, details=words)) == is_end
