"""`semsearch index list|check|rebuild|export|import` with the real index service: what they print, write and leave."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import proto
from semsearch.export_file import MAGIC
from semsearch.index.v1 import index_service_pb2 as pb

from tests.services.client_stack import COMMAND_SECONDS, Done, semsearch, semsearch_process
from tests.services.index_process import IndexProcess, index_process, item

DIMENSION = 32
ROWS = 3_000
NOWHERE = "127.0.0.1:1"  # commands that need no gateway must not call it


@contextmanager
def filled(data: Path) -> Iterator[IndexProcess]:
    with index_process(data, "--annoy-trees=3") as running:
        running.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="items", dimension=DIMENSION, model_id="m")))
        add(running, range(ROWS))
        list(running.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="items")))
        running.stub.SetAlias(pb.SetAliasRequest(alias="current", index="items"))
        yield running


@pytest.fixture(scope="module")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def shared(shared_data: Path) -> Iterator[IndexProcess]:
    """Run a service for tests that leave it with its one unchanged index."""
    with filled(shared_data) as running:
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def own(data: Path) -> Iterator[IndexProcess]:
    """Run a service for one test, which may change anything."""
    with filled(data) as running:
        yield running


def add(service: IndexProcess, numbers: range, **attributes: object) -> None:
    rows = np.random.default_rng(numbers.start).normal(size=(len(numbers), DIMENSION))
    items = [item(str(n), row.tolist(), n=n, **attributes) for n, row in zip(numbers, rows, strict=True)]
    service.stub.UpsertItems(iter([pb.UpsertItemsRequest(index="items", model_id="m", items=items)]))


def operate(service: IndexProcess, *arguments: object) -> Done:
    return semsearch(NOWHERE, "index", *arguments, "--index-address", service.address)


def items(service: IndexProcess, index: str) -> list[pb.Item]:
    request = pb.ListItemsRequest(index=index, page_size=1_000, include_vectors=True)
    found: list[pb.Item] = []
    while True:
        page = service.stub.ListItems(request)
        found.extend(page.items)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + COMMAND_SECONDS
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def damage(data: Path) -> str:
    (segment,) = (data / "index" / "items" / "segments").iterdir()
    with (segment / "vectors.npy").open("r+b") as file:
        file.seek(128)
        file.write(bytes(16))
    return segment.name


def test_indexes_are_listed_for_people_and_machines(shared: IndexProcess) -> None:
    done = operate(shared, "list")
    header, _, row = [line for line in done.out.splitlines() if line.strip()]
    assert header.split() == ["name", "aliases", "items", "segments", "bytes", "model", "repairs"]
    name, alias, count, segments, _, model = row.split()
    assert (name, alias, count, segments, model) == ("items", "current", "3,000", "1", "m")
    assert (done.status, done.err) == (0, "1 index.\n")
    (description,) = operate(shared, "list", "--json").document
    assert (description["name"], description["item_count"], description["repairs"], description["aliases"]) == (
        "items",
        ROWS,
        [],
        ["current"],
    )
    assert description["disk_bytes"] > ROWS * DIMENSION * 4


def test_a_check_of_an_intact_index_reports_no_damage(shared: IndexProcess) -> None:
    done = operate(shared, "check")
    assert (done.status, done.out, done.err) == (0, "", "items: no damage in 3,000 items and 1 segment.\n")
    assert operate(shared, "check", "current", "--json").document == [
        {"name": "current", "item_count": ROWS, "segment_count": 1, "damages": []}
    ]


def test_damage_is_shown_with_a_status_and_a_rebuild_repairs_it(own: IndexProcess, data: Path) -> None:
    segment = damage(data)
    done = operate(own, "check", "items")
    assert done.status == 1
    header, _, row = [line for line in done.out.splitlines() if line.strip()]
    assert header.split() == ["index", "part", "problem"]
    assert row.rstrip().split(maxsplit=2) == ["items", segment, "vectors.npy does not match its checksum"]
    assert done.err == f"items: damage was found in {segment}. Repair it with: semsearch index rebuild items\n"
    machine = operate(own, "check", "--json")
    assert (machine.status, machine.err) == (1, "")
    (found,) = machine.document[0]["damages"]
    assert (found["part"], found["rebuild_repairs"]) == (segment, True)

    rebuilt = operate(own, "rebuild", "items")
    assert (rebuilt.status, rebuilt.out, rebuilt.err) == (0, "", "items was rebuilt: 3,000 items.\n")
    assert operate(own, "check").status == 0
    assert operate(own, "rebuild", "items", "--json").lines[-1] == {"done": ROWS, "total": ROWS}


def test_a_damaged_store_is_reported_and_no_rebuild_suggested(data: Path, own: IndexProcess) -> None:
    own.stop()
    (data / "index" / "items" / "store.sqlite").write_bytes(b"no database")
    with index_process(data) as second:
        done = operate(second, "check")
        assert done.status == 1
        assert "store.sqlite is damaged or missing" in done.out
        assert done.err.startswith("items: damage was found in store. A rebuild cannot repair this")
        assert "store.sqlite is damaged" in operate(second, "list").out


def test_an_export_becomes_an_index_of_another_name(shared: IndexProcess, tmp_path: Path) -> None:
    file = tmp_path / "out" / "items.export"
    file.parent.mkdir()
    done = operate(shared, "export", "current", file)
    size = file.stat().st_size
    assert (done.status, done.err) == (0, f"{file} has 3,000 items of current, {size:,} bytes.\n")
    assert list(file.parent.iterdir()) == [file]
    done = operate(shared, "import", file, "copy")
    assert (done.status, done.out, done.err) == (0, "", "copy has 3,000 items of m.\n")
    assert items(shared, "copy") == items(shared, "items")
    assert operate(shared, "import", file, "again", "--json").document["item_count"] == ROWS
    assert operate(shared, "export", "copy", file, "--json").document == {
        "name": "copy", "file": str(file), "item_count": ROWS, "size_bytes": file.stat().st_size,
    }  # fmt: skip
    for name in ("copy", "again"):
        shared.stub.DeleteIndex(pb.DeleteIndexRequest(name=name))


def test_the_file_has_the_format_of_the_proto(shared: IndexProcess, tmp_path: Path) -> None:
    file = tmp_path / "items.export"
    operate(shared, "export", "items", file)
    pieces = []
    with file.open("rb") as content:
        assert content.read(16) == b"semsearch.export"
        assert content.read(4) == b"\x01\0\0\0"
        while (piece := proto.parse_length_prefixed(pb.ExportPiece, content)) is not None:  # type: ignore[arg-type]
            pieces.append(piece)
    header, *between, trailer = pieces
    assert (header.header.format_version, header.header.item_count, header.header.index.name) == (1, ROWS, "items")
    assert sum(len(piece.items.items) for piece in between) == trailer.trailer.item_count == ROWS
    assert len(trailer.trailer.sha256) == 32


def cut(content: bytes) -> bytes:
    return content[:-20]


def cut_between_pieces(content: bytes) -> bytes:
    trailer = pb.ExportPiece(trailer=pb.ExportTrailer(item_count=ROWS, sha256=bytes(32))).ByteSize()
    return content[: -trailer - 1]


def flip(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, "is damaged or cut off"),
        (cut_between_pieces, "is damaged or cut off"),
        (flip, ""),  # depends on what the byte belongs to: an id, a vector, a number or JSON
        (lambda content: content + b"more", "is damaged or cut off"),
        (lambda content: content[:17], "is damaged or cut off"),
        (lambda content: content[:20], "is damaged or cut off"),
        (lambda _: b"", "is not an export of an index."),
        (lambda _: b"PK\x03\x04 and so on, at some length", "is not an export of an index."),
        (lambda content: MAGIC + b"\x02\0\0\0" + content[20:], "is an export of format version 2, and this program"),
        (lambda content: content[:20] + b"\xff" * 9 + b"\x01", "is damaged or cut off"),
    ],
)
def test_an_incomplete_export_is_refused_and_leaves_nothing(
    shared: IndexProcess, tmp_path: Path, shared_data: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    file = tmp_path / "items.export"
    operate(shared, "export", "items", file)
    before = sorted((shared_data / "index").iterdir())
    file.write_bytes(change(file.read_bytes()))
    done = operate(shared, "import", file, "copy")
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert sorted((shared_data / "index").iterdir()) == before
    assert [each.name for each in shared.stub.ListIndexes(pb.ListIndexesRequest()).indexes] == ["items"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "nothing", "{tmp}/x"], 'There is no index or alias "nothing".'),
        (["export", "items", "{tmp}/no/folder/x"], "x cannot be written: No such file or directory."),
        (["import", "{tmp}/nothing", "copy"], "nothing cannot be read: No such file or directory."),
        (["import", "{tmp}", "copy"], "cannot be read: Is a directory."),
        (["rebuild", "nothing"], 'There is no index or alias "nothing".'),
        (["check", "nothing"], 'There is no index or alias "nothing".'),
    ],
)
def test_an_impossible_command_prints_one_sentence(
    shared: IndexProcess, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = operate(shared, *(each.format(tmp=tmp_path) for each in arguments))
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert not list(tmp_path.iterdir())


def test_a_taken_name_is_reported(shared: IndexProcess, tmp_path: Path) -> None:
    operate(shared, "export", "items", tmp_path / "x")
    done = operate(shared, "import", tmp_path / "x", "items")
    assert (done.status, done.err) == (
        1,
        '"items" is already the name of an index. Choose another name, or delete the index first.\n',
    )


def test_a_silent_index_service_is_reported_with_its_own_option() -> None:
    done = semsearch(NOWHERE, "index", "list", "--index-address", "127.0.0.1:1")
    assert done.status == 1
    assert done.err == (
        "No index service answers at 127.0.0.1:1. Start one with `make run-all`, or name another with --index-address "
        "or SEMSEARCH_CLIENT_INDEX_ADDRESS.\n"
    )


@pytest.mark.parametrize("command", ["export", "import"])
def test_ctrl_c_leaves_nothing(own: IndexProcess, tmp_path: Path, data: Path, command: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for start in range(0, 500, 100):  # enough to take a while
        add(own, range(start, start + 100), text="x" * 60_000)
    arguments: list[object] = ["export", "items", out / "x"]
    watched = out
    if command == "import":
        assert operate(own, *arguments).status == 0
        arguments = ["import", out / "x", "copy"]
        watched = data / "index"
    before = sorted(watched.iterdir())
    with semsearch_process(NOWHERE, "index", *arguments, "--index-address", own.address) as running:
        assert running.stderr is not None
        until(lambda: len(list(watched.iterdir())) > len(before) or running.poll() is not None)
        running.send_signal(signal.SIGINT)
        assert running.wait(COMMAND_SECONDS) in (130, 0)
        assert "Traceback" not in running.stderr.read()
    until(lambda: not [path for path in watched.iterdir() if path.name.startswith((".tmp-", ".x."))])
    # If the last piece has already been sent, it is too late, and the import is complete.
    after = sorted(watched.iterdir())
    if after != before:
        assert command == "export" or items(own, "copy") == items(own, "items")
        assert command == "import" or operate(own, "import", out / "x", "whole").status == 0


def test_an_unknown_command_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "check").mkdir()
    for arguments in (["./check"], ["-c", "photos", "check/"], ["--json", "./check"]):
        done = semsearch(NOWHERE, "index", *arguments, "--server", NOWHERE)
        assert done.status == 1
        assert f"No semsearch answers at {NOWHERE}." in done.err
    wrong = semsearch(NOWHERE, "index", "chekc")
    assert wrong.status == 2
    assert "chekc" in wrong.err
    assert semsearch(NOWHERE, "index", "DIR").status == 2
    shown = semsearch(NOWHERE, "index", "--help")
    assert shown.status == 0
    assert "./check" in shown.out
