"""The real service on a small real file system that becomes full."""

import itertools
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from semsearch.index.v1 import index_service_pb2 as pb

from tests.services.index_process import IndexProcess, index_process, item, query
from tests.services.service_process import Refusal

DIMENSION = 300
BATCH = 100
SIZE_MB = 24
BALLAST_MB = 8
DEADLINE = 60.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"A small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def vectors(batch: int) -> list[list[float]]:
    found: list[list[float]] = np.random.default_rng(batch).normal(size=(BATCH, DIMENSION)).tolist()
    return found


def write(service: IndexProcess, batch: int) -> None:
    items = [item(f"{batch}-{number}", vector) for number, vector in enumerate(vectors(batch))]
    service.stub.UpsertItems(iter([pb.UpsertItemsRequest(index="items", model_id="m", items=items)]))


def write_until_full(service: IndexProcess, first: int) -> int:
    """Write batches until one is refused; return its number."""
    for batch in itertools.count(first):
        try:
            write(service, batch)
        except grpc.RpcError as error:
            check_refusal(error)
            return batch
    raise AssertionError


def check_refusal(error: grpc.RpcError) -> None:
    refusal = Refusal.of(error)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    assert "free disk space" in refusal.message


def check(service: IndexProcess, batches: int) -> None:
    """Check that `batches` batches exist and are found."""
    assert service.stub.GetIndex(pb.GetIndexRequest(name="items")).index.item_count == batches * BATCH
    for batch in range(0, batches, max(1, batches // 5)):
        request = pb.SearchRequest(index="items", k=1, model_id="m", queries=[query(each) for each in vectors(batch)])
        found = [result.neighbors[0].id for result in service.stub.Search(request).results]
        assert found == [f"{batch}-{number}" for number in range(BATCH)]


def optimize(service: IndexProcess) -> pb.Index:
    return list(service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="items")))[-1].index


def test_a_full_disk_refuses_writes_and_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(BALLAST_MB * 2**20))
    with index_process(small_disk, "--annoy-trees=2") as service:
        service.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="items", dimension=DIMENSION, model_id="m")))
        batches = write_until_full(service, 0)
        assert batches > 5
        check(service, batches)
        with pytest.raises(grpc.RpcError) as refused:
            optimize(service)
        check_refusal(refused.value)
        other = pb.Index(name="other", dimension=DIMENSION, model_id="m")
        with pytest.raises(grpc.RpcError) as refused:
            service.stub.CreateIndex(pb.CreateIndexRequest(index=other))
        check_refusal(refused.value)
        check(service, batches)

        ballast.unlink()
        write(service, batches)
        batches += 1
        check(service, batches)
        batches = write_until_full(service, batches)
        check(service, batches)
        service.kill()

    # It starts on the full disk. If opening the index needs space, it says so, and the index opens once there is some.
    with index_process(small_disk, "--annoy-trees=2") as service:
        try:
            check(service, batches)
        except grpc.RpcError as error:
            check_refusal(error)
        subprocess.run(["mount", "-o", f"remount,size={4 * SIZE_MB}m", str(small_disk)], check=True)
        wait_until_there(service)
        check(service, batches)
        write(service, batches)
        assert optimize(service).stats.segment_row_count == (batches + 1) * BATCH
        assert service.stop() == 0
    with index_process(small_disk) as service:
        check(service, batches + 1)
        assert "damage found" not in "".join(service.lines)


def wait_until_there(service: IndexProcess) -> None:
    until = time.monotonic() + DEADLINE
    while not is_there(service):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_there(service: IndexProcess) -> bool:
    try:
        service.stub.GetIndex(pb.GetIndexRequest(name="items"))
    except grpc.RpcError as error:
        check_refusal(error)
        return False
    return True
