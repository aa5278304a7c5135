"""What the doctor reports about models, collections, indexes and the disk."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from semsearch.doctor.contents import examine_indexes, examine_model_and_collections
from semsearch.doctor.findings import Finding, State
from semsearch.doctor.machine import examine_disk, examine_suite, examine_versions
from semsearch.doctor.places import places_of
from semsearch.errors import AccessDenied, SemsearchError, TimedOut
from semsearch.index_operations import IndexSummary
from semsearch.suites import GatewayProcess, Suite
from semsearch.values import Collection, Model

MODEL = Model("photos@b", "Photos", 300, 260, 30_567, True, 0.9, {})
COLLECTION = Collection("gallery", "gallery", 400, "photos@b", datetime(2026, 1, 1, tzinfo=UTC))
MERGED = datetime(2026, 1, 2, tzinfo=UTC)
INDEX = IndexSummary("i.1", 400, 300, "photos@b", ("i",), 1, 6_000_000, (), 0.95, 0.96, 7, MERGED)
Usage = namedtuple("Usage", "total used free")


def collections(*found: Collection, model: Model = MODEL, is_switching: bool = False) -> list[Finding]:
    client: Any = SimpleNamespace(get_model=lambda: model, list_collections=lambda: iter(found))
    return list(examine_model_and_collections(client, is_switching=is_switching))


def indexes(*found: IndexSummary, error: SemsearchError | None = None) -> tuple[list[Finding], int]:
    def listed() -> Iterator[IndexSummary]:
        if error:
            raise error
        yield from found

    service: Any = SimpleNamespace(list_indexes=listed)
    return examine_indexes(service)


def test_the_model_and_the_images_are_reported() -> None:
    model, images = collections(COLLECTION)
    assert model.text == "photos@b: 30,567 words, 300 dimensions"
    assert images.text == "400 in gallery (400)"


def test_a_collection_of_another_model_says_how_to_switch() -> None:
    *_, other = collections(COLLECTION, replace(COLLECTION, id="old", model_id="tiny@a"))
    assert (other.part, other.state) == ("collection old", State.NOTE)
    assert other.advice.endswith("semsearch model activate photos")


def test_a_collection_that_a_switch_in_progress_has_moved_needs_no_action() -> None:
    *_, moved = collections(COLLECTION, replace(COLLECTION, id="old", model_id="tiny@a"), is_switching=True)
    assert (moved.part, moved.state, moved.advice) == ("collection old", State.NOTE, "")
    assert "switch to another model is in progress" in moved.text


def test_an_empty_suite_says_how_to_add_images() -> None:
    _, images = collections(replace(COLLECTION, image_count=0))
    assert "semsearch index DIR" in images.advice


def test_the_recall_and_the_last_merge_of_an_index_are_reported() -> None:
    (found,), largest = indexes(INDEX)
    assert found.state is State.OK
    assert found.text == (
        "400 items, 6.0 MB; recall 0.960 of 0.95 wanted; "
        f"last merge {MERGED.astimezone():%Y-%m-%d %H:%M}, 7 added since"
    )
    assert largest == 6_000_000


@pytest.mark.parametrize(
    ("index", "advice"),
    [
        (replace(INDEX, measured_recall=0.9), "semsearch index rebuild i.1"),
        (replace(INDEX, repairs=("segment-1 was damaged",)), "semsearch index check i.1"),
    ],
)
def test_low_recall_and_damage_are_problems(index: IndexSummary, advice: str) -> None:
    (found,), _ = indexes(index)
    assert found.state is State.PROBLEM
    assert found.advice.endswith(advice)


def test_of_thousands_of_indexes_the_largest_and_the_bad_are_listed() -> None:
    many = [replace(INDEX, aliases=(f"i{n}",), item_count=1_000 - n) for n in range(50)]
    many[40] = replace(many[40], measured_recall=0.5)
    found, _ = indexes(*many)
    assert [each.part for each in found] == [*(f"index i{n}" for n in range(10)), "index i40", "indexes"]
    assert found[-1].text == "39 smaller ones are fine"


def test_an_index_service_that_does_not_answer_is_a_problem() -> None:
    (found,), largest = indexes(error=TimedOut("no answer", hint="Try again."))
    assert (found.state, found.text, found.advice, largest) == (State.PROBLEM, "no answer", "Try again.", 0)


def test_indexes_that_only_an_administrator_may_list_are_no_problem_of_the_suite() -> None:
    (found,), largest = indexes(error=AccessDenied("The token has the role read, and ListIndexes needs admin."))
    assert (found.state, largest) == (State.NOTE, 0)
    assert found.text == "The token has the role read, and ListIndexes needs admin."
    assert "administrator's token" in found.advice


@pytest.mark.parametrize(("free", "state"), [(5 * 10**9, State.OK), (4 * 10**9 - 1, State.PROBLEM)])
def test_the_disk_must_have_room_for_a_merge_of_the_largest_index(
    free: int, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path / "not" / "there yet"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, free))
    (found,) = examine_disk(4 * 10**9)
    assert found.state is state


def test_a_data_folder_that_is_a_file_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var").touch()
    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path / "var"))
    (found,) = examine_disk(0)
    assert found.state is State.PROBLEM


def test_versions_and_the_suite_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMSEARCH_DATA", str(tmp_path))
    assert "grpcio" in examine_versions().text
    assert examine_suite(Suite(pid=7)).text.endswith("(process 7)")
    assert examine_suite(Suite(is_stopped=True)).state is State.NOTE


def test_the_suites_own_file_names_the_embedder_and_variables_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMSEARCH_INDEX_METRICS_PORT", "-1")
    monkeypatch.setenv("SEMSEARCH_EMBEDDER_PORT", "7")
    suite = Suite("127.0.0.1:1", "127.0.0.1:3", embedder="127.0.0.1:2", pid=1)
    embedder, index, gateway = places_of("localhost:1", "127.0.0.1:3", suite)
    assert (embedder.grpc.address, index.others) == ("127.0.0.1:2", ())
    assert [each.port for each in gateway.others] == [9051, 8080]
    embedder, *_ = places_of("127.0.0.1:99", "127.0.0.1:3", suite)
    assert embedder.grpc.address == "127.0.0.1:7"


def test_each_gateway_process_of_the_suite_is_examined() -> None:
    processes = (GatewayProcess("gateway-2", "127.0.0.1:5", 6),)
    suite = Suite("127.0.0.1:1", "127.0.0.1:3", embedder="127.0.0.1:2", pid=1, processes=processes)
    *_, second = places_of("127.0.0.1:1", "127.0.0.1:3", suite)
    assert (second.service, [each.port for each in second.all]) == ("gateway-2", [5, 6])
    assert len(places_of("127.0.0.1:99", "127.0.0.1:3", suite)) == 3  # of another suite


def test_of_another_machine_only_the_gateway_is_examined() -> None:
    (gateway,) = places_of("photos.example:50051", "127.0.0.1:50053", Suite())
    assert (gateway.grpc.address, gateway.others) == ("photos.example:50051", ())
