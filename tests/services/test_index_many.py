import resource
from pathlib import Path

import grpc
import numpy as np
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from tests.services.index_process import index_process, item, query
from tests.services.index_with_few_files import FILES
from tests.services.service_process import service_process

INDEXES = 300
DIMENSION = 8
MODEL = "model"


def vector(number: int) -> list[float]:
    values: list[float] = np.random.default_rng(number).normal(size=DIMENSION).tolist()
    return values


def found(stub: pb_grpc.IndexServiceStub, number: int) -> list[str]:
    request = pb.SearchRequest(index=f"index{number}", k=1, queries=[query(vector(number))], model_id=MODEL)
    return [neighbor.id for neighbor in stub.Search(request).results[0].neighbors]


def fill(stub: pb_grpc.IndexServiceStub, number: int) -> None:
    name = f"index{number}"
    stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name=name, dimension=DIMENSION, model_id=MODEL)))
    message = pb.UpsertItemsRequest(index=name, model_id=MODEL, items=[item(name, vector(number))])
    assert stub.UpsertItems(iter([message])).upserted_count == 1


def test_more_indexes_than_open_files_are_served(tmp_path: Path) -> None:
    assert INDEXES > FILES
    for start in range(2):  # the second opens what the first creates
        with (
            service_process("tests.services.index_with_few_files", tmp_path) as service,
            grpc.insecure_channel(service.address) as channel,
        ):
            stub = pb_grpc.IndexServiceStub(channel)
            for number in range(INDEXES):
                if start == 0:
                    fill(stub, number)
                assert found(stub, number) == [f"index{number}"]
            assert_all_sound(stub)


def test_the_service_raises_its_own_limit_of_open_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        with index_process(tmp_path) as service:
            assert resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def assert_all_sound(stub: pb_grpc.IndexServiceStub) -> None:
    listed = stub.ListIndexes(pb.ListIndexesRequest(page_size=INDEXES)).indexes
    assert len(listed) == INDEXES
    assert not [index.name for index in listed if index.stats.repairs or index.item_count != 1]
