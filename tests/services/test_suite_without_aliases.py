"""A suite whose file of aliases was lost: nothing of it is removed, and it is whole again once the aliases are set."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc
from semsearch.v1 import gallery_service_pb2 as gallery

from tests.services.gateway_stack import Stack, color_embedder, image, reason, service, wait_for_health
from tests.services.test_gateway_lifecycle import flags
from tests.unit.gateway.doubles import picture

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
DEFAULT_COLLECTION = "semsearch.v1.GalleryService/default-collection"


async def test_no_collection_is_lost_with_the_aliases(tmp_path: Path) -> None:
    async with color_embedder() as (embedder, embedder_port):
        async with (
            service("index_service", "--port=0", f"--data={tmp_path}") as index,
            service("gateway", *flags(tmp_path, embedder_port, index.port)) as gateway,
            grpc.aio.insecure_channel(gateway.address) as channel,
        ):
            stack = Stack(channel, embedder, tmp_path)
            await stack.wait_until_serving("")
            await stack.gallery.CreateCollection(gallery.CreateCollectionRequest(collection_id="a"))
            for collection in ("gallery", "a"):
                await stack.index(collection, [image(1, picture("red"), "red")])
        for name in (".aliases.json", ".lock"):  # as in a copy that was made with `cp index/*`
            (tmp_path / "index" / name).unlink()
        async with (
            service("index_service", "--port=0", f"--data={tmp_path}") as index,
            service("gateway", *flags(tmp_path, embedder_port, index.port)) as gateway,
            grpc.aio.insecure_channel(gateway.address) as channel,
            grpc.aio.insecure_channel(index.address) as to_index,
        ):
            stack, indexes = Stack(channel, embedder, tmp_path), pb_grpc.IndexServiceStub(to_index)
            await wait_for_health(channel, DEFAULT_COLLECTION, NOT_SERVING)
            names = [each.name for each in (await indexes.ListIndexes(pb.ListIndexesRequest())).indexes]
            of_a, of_gallery, of_words = sorted(names)
            await indexes.SetAlias(pb.SetAliasRequest(alias="images-gallery", index=of_gallery))
            await wait_for_health(channel, DEFAULT_COLLECTION, SERVING)
            for name in (of_a, of_words):
                with pytest.raises(grpc.RpcError) as caught:
                    await indexes.DeleteIndex(pb.DeleteIndexRequest(name=name))
                assert reason(caught.value) == "STORE_DAMAGED"
            await indexes.SetAlias(pb.SetAliasRequest(alias="images-a", index=of_a))
            await indexes.SetAlias(pb.SetAliasRequest(alias="any", index=of_words))
            await stack.wait_until_serving("")
            for collection in ("gallery", "a"):
                found = await stack.gallery.GetImage(gallery.GetImageRequest(collection=collection, id="red"))
                assert found.image.id == "red"
