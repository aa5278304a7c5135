"""Every RPC of the index service is a read, a change, or neither, and replicas answer only reads."""

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.replication import CHANGES, READS

# Work on the writer's own files, and what a backup asks of the writer.
NEITHER = {"OptimizeIndex", "HoldSnapshot"}


def test_every_method_is_known() -> None:
    methods = {method.name for method in pb.DESCRIPTOR.services_by_name["IndexService"].methods}
    assert methods == READS | CHANGES | NEITHER
    assert not READS & CHANGES
