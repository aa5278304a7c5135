"""Exports, imports and checks of the real service over gRPC, with real files, during other work and cancellations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from semsearch.index.v1 import index_service_pb2 as pb

from tests.services.index_process import IndexProcess, index_process, item, query
from tests.services.service_process import Refusal

DIMENSION = 64
ROWS = 6_000
DEADLINE = 60.0
Pieces = list[pb.ExportPiece]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def service(data: Path) -> Iterator[IndexProcess]:
    """Run a service with the index "items" and its alias "current"."""
    with index_process(data) as running:
        running.stub.CreateIndex(
            pb.CreateIndexRequest(
                index=pb.Index(
                    name="items", dimension=DIMENSION, model_id="m", labels={"a": "b"}, indexed_attributes=["kind"]
                )
            )
        )
        upsert(running, "items", range(ROWS))
        running.stub.DeleteItems(pb.DeleteItemsRequest(index="items", ids=["0", "17"]))
        running.stub.SetAlias(pb.SetAliasRequest(alias="current", index="items"))
        yield running


def vectors(numbers: range) -> np.ndarray:
    return np.random.default_rng(numbers.start).normal(size=(len(numbers), DIMENSION))


def upsert(service: IndexProcess, index: str, numbers: range) -> None:
    items = [
        item(str(number), row.tolist(), n=number, kind=f"k{number % 3}")
        for number, row in zip(numbers, vectors(numbers), strict=True)
    ]
    requests = (
        pb.UpsertItemsRequest(index=index, model_id="m", items=items[start : start + 1_000])
        for start in range(0, len(items), 1_000)
    )
    service.stub.UpsertItems(requests)


def exported(service: IndexProcess, name: str) -> Pieces:
    return [response.piece for response in service.stub.ExportIndex(pb.ExportIndexRequest(name=name))]


def requests(name: str, pieces: Pieces) -> Iterator[pb.ImportIndexRequest]:
    return (pb.ImportIndexRequest(name="" if number else name, piece=piece) for number, piece in enumerate(pieces))


def listed(service: IndexProcess, index: str) -> list[pb.Item]:
    found: list[pb.Item] = []
    token = ""
    while True:
        request = pb.ListItemsRequest(index=index, page_size=1_000, page_token=token, include_vectors=True)
        page = service.stub.ListItems(request)
        found.extend(page.items)
        token = page.next_page_token
        if not token:
            return found


def names(service: IndexProcess) -> list[str]:
    return [index.name for index in service.stub.ListIndexes(pb.ListIndexesRequest()).indexes]


def temporaries(data: Path) -> list[Path]:
    return [path for path in (data / "index").iterdir() if path.name.startswith(".tmp-")]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def refusal(call: Callable[[], object]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return Refusal.of(caught.value)


def checked(service: IndexProcess, name: str) -> pb.CheckReport:
    *progress, last = service.stub.CheckIndex(pb.CheckIndexRequest(name=name))
    assert not any(step.HasField("report") for step in progress)
    assert (last.done_item_count, last.total_item_count) == (last.report.item_count,) * 2
    return last.report


def test_an_import_equals_the_exported_index(service: IndexProcess) -> None:
    pieces = exported(service, "current")
    assert (pieces[0].header.index.name, pieces[0].header.item_count) == ("items", ROWS - 2)
    made = service.stub.ImportIndex(requests("copy", pieces)).index
    original = service.stub.GetIndex(pb.GetIndexRequest(name="items")).index
    assert (made.name, made.item_count, list(made.aliases)) == ("copy", ROWS - 2, [])
    for field in ("dimension", "model_id", "engine", "recall_target", "indexed_attributes", "labels"):
        assert getattr(made, field) == getattr(original, field)
    assert listed(service, "copy") == listed(service, "items")
    queries = [query(row.tolist()) for row in vectors(range(7, 27))]
    answers = [
        service.stub.Search(pb.SearchRequest(index=name, k=10, model_id="m", queries=queries, exact=True))
        for name in ("items", "copy")
    ]
    assert answers[0].results == answers[1].results
    assert answers[0].index_uid != answers[1].index_uid
    assert not checked(service, "copy").damages
    assert service.stub.DeleteIndex(pb.DeleteIndexRequest(name="copy")).deleted_item_count == ROWS - 2


def test_an_export_is_a_snapshot_while_writes_continue(service: IndexProcess) -> None:
    service.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="busy", dimension=DIMENSION, model_id="m")))
    upsert(service, "busy", range(3_000))
    before = listed(service, "busy")
    call = service.stub.ExportIndex(pb.ExportIndexRequest(name="busy"))
    pieces = [next(call).piece]
    service.stub.DeleteItems(pb.DeleteItemsRequest(index="busy", ids=["5", "2999"]))
    upsert(service, "busy", range(100, 300))
    upsert(service, "busy", range(9_000, 9_100))
    list(service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="busy", rebuild=True)))
    pieces += [response.piece for response in call]
    service.stub.ImportIndex(requests("moment", pieces))
    assert listed(service, "moment") == before
    for name in ("busy", "moment"):
        service.stub.DeleteIndex(pb.DeleteIndexRequest(name=name))


def test_an_import_survives_a_kill(tmp_path: Path, service: IndexProcess) -> None:
    pieces = exported(service, "items")
    with index_process(tmp_path) as other:
        other.stub.ImportIndex(requests("moved", pieces))
        other.kill()
    with index_process(tmp_path) as other:
        assert listed(other, "moved") == listed(service, "items")
        assert not other.stub.GetIndex(pb.GetIndexRequest(name="moved")).index.stats.repairs


class HalfImport:
    """An import that has sent all but the last piece and waits."""

    def __init__(self, service: IndexProcess, pieces: Pieces) -> None:
        self._release = threading.Event()
        self.call = service.stub.ImportIndex.future(self._requests(pieces))

    def _requests(self, pieces: Pieces) -> Iterator[pb.ImportIndexRequest]:
        yield from requests("half", pieces[:-1])
        self._release.wait(DEADLINE)

    def finish(self) -> None:
        self._release.set()


def test_an_import_that_is_cancelled_leaves_nothing(service: IndexProcess, data: Path) -> None:
    half = HalfImport(service, exported(service, "items"))
    until(lambda: bool(temporaries(data)))
    assert "half" not in names(service)
    half.call.cancel()
    half.finish()
    until(lambda: not temporaries(data))
    assert "half" not in names(service)


@pytest.mark.parametrize("end", [IndexProcess.kill, IndexProcess.stop])
def test_an_import_whose_service_stops_leaves_nothing(
    tmp_path: Path, service: IndexProcess, end: Callable[[IndexProcess], object]
) -> None:
    with index_process(tmp_path, "--drain-seconds=0") as other:
        half = HalfImport(other, exported(service, "items"))
        until(lambda: bool(temporaries(tmp_path)))
        end(other)
        half.finish()
    with index_process(tmp_path) as other:
        assert not names(other)
        assert not temporaries(tmp_path)
        assert not [line for line in other.lines if '"level": "error"' in line]


def altered(pieces: Pieces) -> Pieces:
    pieces[1].items.items[3].attributes = '{"n":99}'
    return pieces


def newer(pieces: Pieces) -> Pieces:
    pieces[0].header.format_version = 2
    return pieces


CASES: dict[str, tuple[str, Callable[[Pieces], Pieces], grpc.StatusCode, str]] = {
    "cut off": ("new", lambda p: p[:-1], grpc.StatusCode.INVALID_ARGUMENT, "EXPORT_DAMAGED"),
    "cut off after the header": ("new", lambda p: p[:1], grpc.StatusCode.INVALID_ARGUMENT, "EXPORT_DAMAGED"),
    "altered": ("new", altered, grpc.StatusCode.INVALID_ARGUMENT, "EXPORT_DAMAGED"),
    "more after the trailer": ("new", lambda p: [*p, p[-1]], grpc.StatusCode.INVALID_ARGUMENT, "EXPORT_DAMAGED"),
    "no header": ("new", lambda p: p[1:], grpc.StatusCode.INVALID_ARGUMENT, "EXPORT_DAMAGED"),
    "a header twice": ("new", lambda p: [p[0], *p], grpc.StatusCode.INVALID_ARGUMENT, "EXPORT_DAMAGED"),
    "newer": ("new", newer, grpc.StatusCode.FAILED_PRECONDITION, "EXPORT_TOO_NEW"),
    "nothing": ("new", lambda _: [], grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    "a name that is taken": ("items", lambda p: p, grpc.StatusCode.ALREADY_EXISTS, "INDEX_EXISTS"),
    "a name that an alias has": ("current", lambda p: p, grpc.StatusCode.ALREADY_EXISTS, "INDEX_EXISTS"),
    "a bad name": ("../new", lambda p: p, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    "no name": ("", lambda p: p, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_incomplete_export_is_refused_and_leaves_nothing(service: IndexProcess, data: Path, case: str) -> None:
    name, change, code, reason = CASES[case]
    pieces = change(exported(service, "items"))
    before = names(service)
    error = refusal(lambda: service.stub.ImportIndex(requests(name, pieces)))
    assert (error.code, error.reason) == (code, reason)
    assert error.message.endswith(".")
    assert not temporaries(data)
    assert names(service) == before


def test_exports_are_limited_and_a_cancelled_one_frees_a_slot(service: IndexProcess) -> None:
    # Far more than a connection buffers, so that no export ends by itself.
    service.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="heavy", dimension=DIMENSION, model_id="m")))
    row = vectors(range(1))[0].tolist()
    for start in range(0, 400, 50):
        items = [item(str(number), row, text="x" * 60_000) for number in range(start, start + 50)]
        service.stub.UpsertItems(iter([pb.UpsertItemsRequest(index="heavy", model_id="m", items=items)]))
    pb_request = pb.ExportIndexRequest(name="heavy")
    running = [service.stub.ExportIndex(pb_request) for _ in range(4)]
    for call in running:
        next(call)
    for refused in (
        lambda: list(service.stub.ExportIndex(pb_request)),
        lambda: list(service.stub.CheckIndex(pb.CheckIndexRequest(name="items"))),
    ):
        error = refusal(refused)
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    for call in running:
        call.cancel()

    def has_room() -> bool:
        try:
            return bool(exported(service, "heavy"))
        except grpc.RpcError:
            return False

    until(has_room)
    service.stub.DeleteIndex(pb.DeleteIndexRequest(name="heavy"))


def test_an_export_survives_the_deletion_of_its_index(service: IndexProcess) -> None:
    service.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="doomed", dimension=DIMENSION, model_id="m")))
    upsert(service, "doomed", range(3_000))
    call = service.stub.ExportIndex(pb.ExportIndexRequest(name="doomed"))
    pieces = [next(call).piece]
    service.stub.DeleteIndex(pb.DeleteIndexRequest(name="doomed"))
    pieces += [response.piece for response in call]
    assert service.stub.ImportIndex(requests("doomed", pieces)).index.item_count == 3_000
    service.stub.DeleteIndex(pb.DeleteIndexRequest(name="doomed"))


@pytest.mark.parametrize("method", ["ExportIndex", "CheckIndex"])
def test_a_missing_index_can_be_neither_exported_nor_checked(service: IndexProcess, method: str) -> None:
    request = getattr(pb, f"{method}Request")(name="nothing")
    error = refusal(lambda: list(getattr(service.stub, method)(request)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "INDEX_NOT_FOUND")


def test_damage_is_found_while_serving_and_a_rebuild_repairs_it(tmp_path: Path) -> None:
    with index_process(tmp_path, "--annoy-trees=3") as other:
        other.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="items", dimension=DIMENSION, model_id="m")))
        upsert(other, "items", range(2_000))
        list(other.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="items")))
        assert checked(other, "items") == pb.CheckReport(item_count=2_000, segment_count=1)
        (segment,) = (tmp_path / "index" / "items" / "segments").iterdir()
        with (segment / "vectors.npy").open("r+b") as file:
            file.seek(128)
            file.write(bytes(4 * DIMENSION))
        (damage,) = checked(other, "items").damages
        assert (damage.part, damage.rebuild_repairs) == (segment.name, True)
        assert "vectors.npy does not match its checksum" in damage.problem
        request = pb.SearchRequest(
            index="items", k=1, model_id="m", queries=[query(vectors(range(2_000))[0].tolist())], exact=True
        )
        steps = list(other.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="items", rebuild=True)))
        assert (steps[-1].done_row_count, steps[-1].total_row_count) == (2_000, 2_000)
        assert steps[-1].index.stats.segment_count == 1
        assert not checked(other, "items").damages
        assert other.stub.Search(request).results[0].neighbors[0].id == "0"


def test_a_check_reports_a_store_that_cannot_be_opened(tmp_path: Path) -> None:
    with index_process(tmp_path) as first:
        first.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="items", dimension=DIMENSION, model_id="m")))
        first.stop()
    (tmp_path / "index" / "items" / "store.sqlite").write_bytes(b"no database")
    with index_process(tmp_path) as second:
        (damage,) = checked(second, "items").damages
        assert (damage.part, damage.rebuild_repairs) == ("store", False)
        assert "store.sqlite is damaged" in damage.problem


def test_the_service_logged_no_error_of_its_own(service: IndexProcess) -> None:
    assert not [line for line in service.lines if '"level": "error"' in line or "Traceback" in line]
