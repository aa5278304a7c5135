from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from semsearch.v1 import error_reason_pb2 as reasons

from gateway import errors
from gateway.api.statuses import ERRORS
from gateway.backends import refusals
from gateway.backends.refusals import Refusal, Refused, Violation
from gateway.backends.rpc_errors import refused
from gateway.backups import errors as backups
from gateway.errors import GatewayError
from serving.error_status import ErrorStatus
from serving.errors import is_expected, to_status
from serving.received_errors import from_status

REFUSAL = Refusal(
    "The queue is full.",
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0],
    "OVERLOADED",
    {"queued": "64"},
    (Violation("images", "too many"),),
    0.5,
)
EXAMPLES: list[GatewayError] = [
    errors.InvalidId("id", "bad."),
    errors.ImageTooLarge(2, 1),
    errors.CancelledTerms(),
    errors.StreamConfigError("bad"),
    errors.CollectionNotFound("c"),
    errors.CollectionExists("c"),
    errors.CollectionOfOtherModel("c"),
    errors.ListingOutOfDate(),
    errors.SearchOutOfDate(),
    errors.UnknownModel("m"),
    errors.AmbiguousModel("m", ["m@sha256:0", "m@sha256:1"]),
    errors.SwitchUnderWay("m"),
    errors.SwitchNotStored("full"),
    errors.ImageNotFound("c", "i"),
    errors.BlobMissing("00", "is missing"),
    errors.OriginalElsewhere("i", "nas/i.jpg"),
    errors.MapNotFound("c"),
    errors.MapFailed("no memory"),
    errors.MapCancelled("c"),
    errors.MapNotStored("full"),
    errors.StorageFull("full"),
    errors.ImageStoreUnusable("The images cannot be stored: the bucket does not exist."),
    backups.BackupsOff(),
    backups.BackupPlaceRefused("elsewhere"),
    backups.BackupPlaceFull("/backups"),
    backups.BackupPlaceUnavailable("/backups"),
    backups.BackupNotFound("b", "/backups"),
    backups.BackupDamaged("objects/00", "a list"),
    backups.BackupTooNew("b"),
    backups.BackupUnderWay("A backup"),
    backups.NotEmpty('"gallery" has 2 images'),
    backups.RestoreBegun("b"),
    backups.IndexesDamaged(["images-c"]),
    errors.WordsNotReady(),
    errors.DependencyUnavailable("index"),
    errors.OwnerChanged(),
    *(cls(REFUSAL) for cls in (Refused, *Refused.__subclasses__())),
]


def subclasses(cls: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)


def test_every_error_of_the_core_has_an_example_and_a_status() -> None:
    assert {type(example) for example in EXAMPLES} == set(subclasses(GatewayError))
    for example in EXAMPLES:
        assert is_expected(example, ERRORS)
        status = ERRORS[next(cls for cls in type(example).__mro__ if cls in ERRORS)](example)
        assert isinstance(status, ErrorStatus)
        assert status.reason != reasons.ERROR_REASON_UNSPECIFIED
        assert status.code not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda error: type(error).__name__)
def test_the_message_is_a_sentence(example: GatewayError) -> None:
    assert to_status(example, ERRORS).message == str(example)


def test_a_services_status_is_passed_on_unchanged() -> None:
    status = to_status(Refused(REFUSAL), ERRORS)
    again = refused(status)
    assert isinstance(again, refusals.Overloaded)
    assert again.refusal == REFUSAL
    assert to_status(again, ERRORS) == status


def test_an_error_can_name_the_callers_field() -> None:
    moved = refusals.InvalidCrop(REFUSAL).at("crop")
    assert type(moved) is refusals.InvalidCrop
    assert moved.refusal.violations == (Violation("crop", REFUSAL.message),)
    assert from_status(to_status(moved, ERRORS)) == ("OVERLOADED", {"queued": "64"})
