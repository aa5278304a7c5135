"""The index service is stopped during its work; no acknowledged write may be lost."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import grpc
import numpy as np
import pytest
from semsearch.index.v1 import index_service_pb2 as pb

from tests.services.index_process import IndexProcess, index_process, item, query
from tests.services.service_process import command, environment

DIMENSION = 16
DEADLINE = 60.0


def vector(number: int) -> list[float]:
    values: list[float] = np.random.default_rng(number).normal(size=DIMENSION).tolist()
    return values


def create(service: IndexProcess) -> None:
    service.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="items", dimension=DIMENSION, model_id="m")))


class Ingest:
    """Adds batches, one call each, and deletes the first item of each; records what was acknowledged."""

    BATCH = 20

    def __init__(self, service: IndexProcess, worker: int, enough: int) -> None:
        self._stub = service.stub
        self._numbers = itertools.count(worker * 1_000_000)
        self._enough = enough
        self.written: set[int] = set()  # acknowledged, and no deletion requested
        self.deleted: set[int] = set()  # acknowledged
        self.adding: set[int] = set()  # requested, not acknowledged
        self.deleting: set[int] = set()
        self.busy = Event()
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            while True:
                self._add_and_delete(list(itertools.islice(self._numbers, self.BATCH)))
                if len(self.written) >= self._enough:
                    self.busy.set()
        except grpc.RpcError:
            self.busy.set()

    def _add_and_delete(self, numbers: list[int]) -> None:
        items = [item(str(number), vector(number), n=number) for number in numbers]
        self.adding = set(numbers)
        self._stub.UpsertItems(iter([pb.UpsertItemsRequest(index="items", model_id="m", items=items)]))
        self.written |= set(numbers[1:])
        self.adding, self.deleting = set(), {numbers[0]}
        self._stub.DeleteItems(pb.DeleteItemsRequest(index="items", ids=[str(numbers[0])]))
        self.deleted.add(numbers[0])
        self.deleting = set()


@pytest.mark.parametrize("flags", [(), ("--full-scan-threshold=100", "--annoy-trees=2")], ids=["ingest", "merges"])
def test_a_kill_during_ingest_loses_no_acknowledged_write(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with index_process(tmp_path, *flags) as service:
        create(service)
        workers = [Ingest(service, worker, enough=300) for worker in range(3)]
        for worker in workers:
            assert worker.busy.wait(DEADLINE)
        service.kill()
        for worker in workers:
            worker.thread.join(DEADLINE)
    written = set().union(*(worker.written for worker in workers))
    assert len(written) >= 900

    with index_process(tmp_path, *flags) as service:
        kept = {int(each.id) for each in everything(service)}
        assert written <= kept
        open_to_chance: set[int] = set()
        for worker in workers:
            assert not worker.deleted & kept
            # A batch in flight was written completely or not at all.
            assert worker.adding & kept in (set(), worker.adding)
            open_to_chance |= worker.adding | worker.deleting
        assert kept - written <= open_to_chance
        some = sorted(written)[::25]
        request = pb.SearchRequest(index="items", k=1, model_id="m", queries=[query(vector(number)) for number in some])
        found = service.stub.Search(request)
        assert [result.neighbors[0].id for result in found.results] == [str(number) for number in some]
        described = service.stub.GetIndex(pb.GetIndexRequest(name="items")).index
        assert described.item_count == len(kept)
        assert "damage found" not in "".join(service.lines)


def everything(service: IndexProcess) -> Iterator[pb.Item]:
    token = ""
    while True:
        page = service.stub.ListItems(pb.ListItemsRequest(index="items", page_size=1_000, page_token=token))
        yield from page.items
        token = page.next_page_token
        if not token:
            return


def test_a_stop_during_a_build_is_quick_and_the_build_is_redone(tmp_path: Path) -> None:
    rows = 3_000
    with index_process(tmp_path, "--annoy-trees=1000") as service:
        create(service)
        items = [item(str(number), vector(number)) for number in range(rows)]
        service.stub.UpsertItems(iter([pb.UpsertItemsRequest(index="items", model_id="m", items=items)]))
        progress = service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="items"))
        while next(progress).done_row_count < rows:
            pass
        progress.cancel()  # all rows are in the forest, but its thousand trees are not built
        assert service.stop() == 0
    with index_process(tmp_path, "--annoy-trees=5") as service:
        last = list(service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="items")))[-1]
        assert (last.index.item_count, last.index.stats.segment_row_count) == (rows, rows)
        assert "damage found" not in "".join(service.lines)


def test_a_second_process_on_a_data_folder_is_refused(tmp_path: Path) -> None:
    with index_process(tmp_path) as first:
        second = subprocess.run(
            command("index_service"),
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert second.returncode == 1
        sentence = second.stderr.strip().splitlines()
        assert len(sentence) == 1
        assert "Another index service is running" in sentence[0]
        create(first)  # the first still works
    with index_process(tmp_path) as third:
        assert third.stub.GetIndex(pb.GetIndexRequest(name="items")).index.item_count == 0
