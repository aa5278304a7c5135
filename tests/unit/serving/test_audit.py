"""The audit log: which calls get a line, what is in it, and what happens while the file cannot be written."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from semsearch.index.v1 import index_service_pb2 as index_pb
from semsearch.v1 import error_reason_pb2 as reasons
from semsearch.v1 import gallery_service_pb2 as gallery_pb
from semsearch.v1 import image_pb2
from semsearch.v1 import search_service_pb2 as search_pb

from gateway.access import RULES as OF_THE_GATEWAY
from index_service.access import RULES as OF_THE_INDEX
from serving import audit_log, callers, tracing
from serving.audit import MOST_REFUSALS, AuditGate, is_read
from serving.audit_log import AuditLog, AuditLogUnusable, open_audit_log
from serving.callers import Caller, Role
from serving.calls import CallFailed, Method
from serving.error_status import ErrorStatus, ErrorTable
from serving.gates import Call
from serving.safeguards import Methods, Safeguards
from serving.settings import ServiceSettings

DEADLINE = 30.0
GALLERY = "semsearch.v1.GalleryService"
INDEX = "semsearch.index.v1.IndexService"
RULES = {**OF_THE_INDEX, **OF_THE_GATEWAY}
TRACE = "a" * 32
ANNA = Caller("anna", Role.WRITE)


class Settings(ServiceSettings):
    service = "gateway"


class NotYours(Exception):
    pass


class Unknown(Exception):
    pass


class TooMuch(Exception):
    pass


ERRORS: ErrorTable = {
    NotYours: lambda _: ErrorStatus(grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_INVALID_FIELD),
    TooMuch: lambda error: ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ErrorReason.Value(f"ERROR_REASON_{error}")
    ),
    Unknown: lambda _: ErrorStatus(grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_UNKNOWN),
}


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[AuditLog]:
    log = AuditLog(tmp_path / "audit.jsonl", max_bytes=2**20, keep=2)
    yield log
    log.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of all files, the oldest first; the newest file has no number."""
    files = sorted(folder.glob("audit.jsonl*"), key=lambda path: (path.name == "audit.jsonl", path.name))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    waiting = threading.Event()
    while not done():
        assert time.monotonic() < deadline
        waiting.wait(0.01)


def method(audit: AuditLog, name: str, *, reads: bool = False) -> Method:
    return Method(GALLERY, name, ERRORS, [AuditGate(audit, "gateway", ERRORS, RULES, reads=reads)])


async def call(method: Method, request: Any, failure: Exception | None = None, caller: Caller = ANNA) -> None:
    described = Call(GALLERY, method.method, {tracing.HEADER: f"00-{TRACE}-{'b' * 16}-00"}, "ipv4:10.0.0.7:5000")
    try:
        async with method.call(described):
            callers.begin(caller)
            method.checked(described, request)
            if failure:
                raise failure
    except CallFailed:
        pass


async def test_a_change_gets_a_line_with_who_what_where_and_how_it_ended(audit: AuditLog, tmp_path: Path) -> None:
    request = gallery_pb.DeleteImagesRequest(collection="trips", ids=["zanzibar.jpg"])
    await call(method(audit, "DeleteImages"), request)
    await call(method(audit, "DeleteImages"), request, NotYours("it is not yours"))
    audit.close()
    done, refused = lines(tmp_path)
    assert done.pop("time") <= refused.pop("time")
    assert done == {
        "service": "gateway",
        "caller": "anna",
        "role": "write",
        "peer": "ipv4:10.0.0.7:5000",
        "method": f"{GALLERY}/DeleteImages",
        "collection": "trips",
        "outcome": "OK",
        "reason": "",
        "trace_id": TRACE,
    }
    assert refused == {**done, "outcome": "PERMISSION_DENIED", "reason": "INVALID_FIELD"}


async def test_a_read_gets_a_line_if_it_is_refused_or_if_reads_are_wanted(audit: AuditLog, tmp_path: Path) -> None:
    request = gallery_pb.ListImagesRequest()
    await call(method(audit, "ListImages"), request)
    await call(method(audit, "ListImages"), request, RuntimeError("a bug"))
    await call(method(audit, "ListImages"), request, NotYours())
    await call(method(audit, "ListImages", reads=True), request)
    audit.close()
    assert [each["outcome"] for each in lines(tmp_path)] == ["PERMISSION_DENIED", "OK"]


async def test_an_unknown_caller_has_no_name_and_no_role(audit: AuditLog, tmp_path: Path) -> None:
    await call(method(audit, "ListImages"), gallery_pb.ListImagesRequest(), Unknown(), callers.UNKNOWN)
    audit.close()
    [line] = lines(tmp_path)
    assert (line["caller"], line["role"], line["reason"]) == (None, None, "TOKEN_UNKNOWN")


async def test_a_call_whose_token_was_revoked_in_progress_keeps_its_callers_name(
    audit: AuditLog, tmp_path: Path
) -> None:
    await call(method(audit, "IndexImages"), gallery_pb.IndexImagesRequest(), Unknown())
    audit.close()
    [line] = lines(tmp_path)
    assert (line["caller"], line["outcome"], line["reason"]) == ("anna", "UNAUTHENTICATED", "TOKEN_UNKNOWN")


@pytest.mark.parametrize(("reason", "count"), [("RATE_EXCEEDED", 1), ("TOO_MANY_CALLS", 1), ("OVERLOADED", 0)])
async def test_a_caller_beyond_its_limits_gets_a_line_but_load_of_all_does_not(
    audit: AuditLog, tmp_path: Path, reason: str, count: int
) -> None:
    await call(method(audit, "ListImages"), gallery_pb.ListImagesRequest(), TooMuch(reason))
    audit.close()
    assert [each["reason"] for each in lines(tmp_path)] == [reason] * count


@pytest.mark.parametrize(
    ("name", "refusal"),
    [("ListImages", NotYours()), ("DeleteImages", TooMuch("TOO_MANY_CALLS")), ("DeleteImages", TooMuch("OVERLOADED"))],
)
async def test_refusals_cannot_fill_the_log(
    audit: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, refusal: Exception
) -> None:
    refusing = method(audit, name)
    for _ in range(2_000):
        await call(refusing, gallery_pb.DeleteImagesRequest(), refusal)
    monkeypatch.setattr("serving.audit._MINUTE", -1.0)
    await call(refusing, gallery_pb.DeleteImagesRequest(), refusal)
    audit.close()
    found = lines(tmp_path)
    assert len(found) == MOST_REFUSALS + 2
    assert [each["refusals_without_line"] for each in found if "refusals_without_line" in each] == [
        2_000 - MOST_REFUSALS
    ]


async def test_a_call_that_its_caller_leaves_is_cancelled(audit: AuditLog, tmp_path: Path) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with method(audit, "DeleteImages").call(Call(GALLERY, "DeleteImages", {}, "")):
            raise asyncio.CancelledError
    audit.close()
    assert [each["outcome"] for each in lines(tmp_path)] == ["CANCELLED"]


@pytest.mark.parametrize(
    ("name", "request_", "collection"),
    [
        (f"{GALLERY}.DeleteImages", gallery_pb.DeleteImagesRequest(), "gallery"),
        (f"{GALLERY}.CreateCollection", gallery_pb.CreateCollectionRequest(collection_id="trips"), "trips"),
        (f"{GALLERY}.ListCollections", gallery_pb.ListCollectionsRequest(), None),
        (f"{GALLERY}.UpdateImage", gallery_pb.UpdateImageRequest(image=image_pb2.Image(collection="trips")), "trips"),
        (f"{GALLERY}.DeleteImages", gallery_pb.DeleteImagesRequest(collection="x" * 10**6), "x" * 199 + "…"),
        (
            "semsearch.v1.SearchService.CountMatches",
            search_pb.CountMatchesRequest(by_image=search_pb.SearchByImageRequest(collection="trips")),
            "trips",
        ),
        (f"{INDEX}.DeleteIndex", index_pb.DeleteIndexRequest(name="words"), "words"),
        (f"{INDEX}.CreateIndex", index_pb.CreateIndexRequest(index=index_pb.Index(name="words")), "words"),
        (f"{INDEX}.SetAlias", index_pb.SetAliasRequest(alias="trips", index="trips-1"), "trips"),
    ],
)
async def test_a_line_has_the_collection_that_a_request_names(
    audit: AuditLog, tmp_path: Path, name: str, request_: Any, collection: str | None
) -> None:
    service, _, name = name.rpartition(".")
    gate = AuditGate(audit, "gateway", ERRORS, RULES, reads=True)
    called = Call(service, name, {}, "")
    async with gate.enter(called):
        gate.check(called, request_)
    audit.close()
    assert [each["collection"] for each in lines(tmp_path)] == [collection]


async def test_a_line_has_the_collection_of_a_stream_from_its_first_message(audit: AuditLog, tmp_path: Path) -> None:
    gate = AuditGate(audit, "gateway", ERRORS, RULES, reads=False)
    called = Call(GALLERY, "IndexImages", {}, "")
    async with gate.enter(called):
        config = gallery_pb.IndexImagesConfig(collection="trips")
        gate.check(called, gallery_pb.IndexImagesRequest(config=config))
        gate.check(called, gallery_pb.IndexImagesRequest(image=gallery_pb.ImageUpload()))
    audit.close()
    assert [each["collection"] for each in lines(tmp_path)] == ["trips"]


async def test_what_services_say_to_each_other_all_the_time_has_no_lines(audit: AuditLog, tmp_path: Path) -> None:
    gate = AuditGate(audit, "index", ERRORS, RULES, reads=True)
    for service in ("grpc.reflection.v1.ServerReflection", "semsearch.index.v1.CoordinationService"):
        async with gate.enter(Call(service, "RenewLease", {}, "")):
            pass
    audit.close()
    assert lines(tmp_path) == []


def test_methods_that_change_nothing() -> None:
    assert is_read(GALLERY, "ListImages")
    assert is_read("semsearch.index.v1.IndexService", "Search")
    assert not is_read(GALLERY, "DeleteImages")
    assert not is_read("semsearch.index.v1.IndexService", "DeleteItems")
    assert not is_read("no.such.Service", "Method")


def test_a_full_file_is_kept_and_the_oldest_is_deleted(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path / "audit.jsonl", max_bytes=100, keep=2)
    for number in range(6):
        audit.write({"number": number, "padding": "x" * 100})
        until(lambda: not audit.waiting)
    audit.close()
    assert [each["number"] for each in lines(tmp_path)] == [3, 4, 5]


def test_two_processes_may_write_to_one_file(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path / "audit.jsonl", max_bytes=2_000, keep=1_000) for _ in range(2)]
    for number in range(500):
        for each in logs:
            each.write({"number": number})
    for each in logs:
        each.close()
    assert sorted(each["number"] for each in lines(tmp_path)) == sorted([*range(500), *range(500)])


def test_lines_wait_while_the_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "MOST_WAITING", 3)
    monkeypatch.setattr(audit_log, "_RETRY_SECONDS", 0.01)
    folder = tmp_path / "logs"
    audit = AuditLog(folder / "audit.jsonl", max_bytes=2**20, keep=2)
    (folder / "audit.jsonl").unlink()
    (folder / "audit.jsonl").mkdir()  # it cannot be opened as a file
    for number in range(5):
        audit.write({"number": number})  # returns at once
    (folder / "audit.jsonl").rmdir()
    audit.write({"number": 5})
    until(lambda: (folder / "audit.jsonl").is_file() and len(lines(folder)) >= 4)
    audit.close()
    found = lines(folder)
    assert [each["number"] for each in found if "number" in each][:3] == [0, 1, 2]
    assert found[3]["lost_lines"] >= 2


def test_a_log_that_cannot_be_written_is_reported_with_its_setting(tmp_path: Path) -> None:
    with (
        pytest.raises(AuditLogUnusable, match="SEMSEARCH_AUDIT_LOG"),
        open_audit_log(Settings(audit_log=str(tmp_path))),
    ):
        pass


async def test_the_count_of_refusals_without_a_line_comes_with_the_next_call_and_at_the_end(
    audit: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = AuditGate(audit, "gateway", ERRORS, RULES, reads=False)
    changing = Method(GALLERY, "DeleteImages", ERRORS, [gate])
    request, more = gallery_pb.DeleteImagesRequest(), 7
    for _ in range(MOST_REFUSALS + more):
        await call(changing, request, NotYours())
    with monkeypatch.context() as patch:
        patch.setattr("serving.audit._MINUTE", -1.0)
        await call(changing, request)
    for _ in range(MOST_REFUSALS + more):
        await call(changing, request, NotYours())
    gate.end()
    audit.close()
    counts = [each["refusals_without_line"] for each in lines(tmp_path) if "refusals_without_line" in each]
    assert counts == [more, more]


async def test_a_change_that_the_shutdown_refuses_or_ends_gets_a_line_with_that_outcome(
    audit: AuditLog, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path)
    safeguards = Safeguards.of(settings, Methods(ERRORS), audit)
    changing = Method(GALLERY, "DeleteImages", ERRORS, safeguards.gates)
    described = Call(GALLERY, "DeleteImages", {}, "ipv4:10.0.0.7:5000")
    begun = asyncio.Event()

    async def hang() -> None:
        async with changing.call(described):
            begun.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(DEADLINE):
        hanging = asyncio.create_task(hang())
        await begun.wait()
        safeguards.drain.refuse()
        with pytest.raises(CallFailed):
            await hang()
        await safeguards.drain.finish(0.0, DEADLINE)
        with pytest.raises(CallFailed):
            await hanging
    audit.close()
    assert [(each["outcome"], each["reason"]) for each in lines(tmp_path)] == [("UNAVAILABLE", "SHUTTING_DOWN")] * 2


async def test_a_change_whose_deadline_passed_is_late_and_not_cancelled(audit: AuditLog, tmp_path: Path) -> None:
    changing = method(audit, "DeleteImages")

    async def hang(seconds: float | None, begun: asyncio.Event) -> None:
        async with changing.call(Call(GALLERY, "DeleteImages", {}, "ipv4:10.0.0.7:5000", seconds)):
            begun.set()
            await asyncio.Event().wait()

    for seconds in (0.0, DEADLINE, None):
        hanging = asyncio.create_task(hang(seconds, begun := asyncio.Event()))
        await begun.wait()
        hanging.cancel()
        await asyncio.wait({hanging})
    audit.close()
    assert [each["outcome"] for each in lines(tmp_path)] == ["DEADLINE_EXCEEDED", "CANCELLED", "CANCELLED"]


def test_lines_that_cannot_be_written_until_the_end_are_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", max_bytes=2**20, keep=2)
    before = audit_log.LOST._value.get()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AuditLog, "_append", fail)
    for _ in range(30):
        log.write({})
    log.close()
    assert audit_log.LOST._value.get() == before + 30


def test_the_counts_of_lines_are_there_before_the_first_line() -> None:
    assert {each.labels["outcome"] for each in audit_log.LINES.collect()[0].samples} >= {"written", "lost"}
