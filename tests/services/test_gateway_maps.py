"""Maps over a gateway, an index and the process that computes them."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio
import numpy as np
import pytest
from semsearch.v1 import map_service_pb2 as pb

from tests.services.gateway_stack import Stack, image, reason, stack
from tests.unit.gateway.doubles import COLORS, picture

__all__ = ["stack"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The process imports SciPy and scikit-learn: 3 s of processor time, and much more on a busy machine.
SECONDS = 300.0
GROUPS = ("red", "green", "blue", "yellow")
EACH = 12


async def collection_of_colors(stack: Stack) -> str:
    """Add images near to some colours and return the collection's id."""
    collection = await stack.new_collection()
    chance = np.random.default_rng(0)
    shades = {color: np.clip(COLORS[color] + chance.normal(0, 12, (EACH, 3)), 0, 255).astype(int) for color in GROUPS}
    images = [
        image(number, picture(tuple(shade.tolist()), seed=number), f"{color}-{number:02}")
        for number, (color, shade) in enumerate(((color, shade) for color in GROUPS for shade in shades[color]), 1)
    ]
    assert not any(result.HasField("status") for result in await stack.index(collection, images))
    return collection


async def compute(stack: Stack, collection: str) -> Sequence[pb.ComputeMapResponse]:
    call = stack.maps.ComputeMap(pb.ComputeMapRequest(collection=collection), timeout=SECONDS)
    return [response async for response in call]


async def places(stack: Stack, collection: str) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    found = {}
    expected = 0
    async for message in stack.maps.StreamMap(pb.StreamMapRequest(collection=collection), timeout=SECONDS):
        expected = expected or message.image_count
        found.update(zip(message.ids, np.frombuffer(message.places, "<f4").reshape(-1, 2), strict=True))
    assert len(found) == expected
    return found


async def test_a_map_is_computed_by_a_process_and_streamed(stack: Stack) -> None:
    collection = await collection_of_colors(stack)
    before = await stack.maps.GetMap(pb.GetMapRequest(collection=collection))
    assert not before.HasField("map")
    responses = await compute(stack, collection)
    layouts = [response.map.layout for response in responses if response.HasField("map")]
    assert layouts[-1] == pb.LAYOUT_NEIGHBORS
    assert [each.progress.fraction for each in responses if each.HasField("progress")] == sorted(
        each.progress.fraction for each in responses if each.HasField("progress")
    )
    final = responses[-1].map
    assert final.up_to_date
    assert final.image_count == len(GROUPS) * EACH == sum(region.image_count for region in final.regions)
    assert all(region.words for region in final.regions)

    found = await places(stack, collection)
    names = np.array([name.partition("-")[0] for name in found])
    spots = np.array(list(found.values()))
    distances = ((spots[:, None] - spots[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (names[distances.argmin(axis=1)] == names).mean() > 0.9, "neighbours are of one colour"

    assert [each.HasField("progress") for each in await compute(stack, collection)] == [False], "nothing is left to do"


async def test_a_computation_is_cancelled(stack: Stack) -> None:
    collection = await collection_of_colors(stack)
    call = stack.maps.ComputeMap(pb.ComputeMapRequest(collection=collection), timeout=SECONDS)
    assert (await call.read()).HasField("progress")
    assert (await stack.maps.CancelMap(pb.CancelMapRequest(collection=collection))).cancelled
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _end_of(call)
    assert reason(refused.value) == "MAP_CANCELLED"
    assert not (await stack.maps.GetMap(pb.GetMapRequest(collection=collection))).HasField("progress")


async def _end_of(call: grpc.aio.UnaryStreamCall[pb.ComputeMapRequest, pb.ComputeMapResponse]) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_collection_without_a_map_has_none_to_stream(stack: Stack) -> None:
    collection = await stack.new_collection()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await places(stack, collection)
    assert reason(refused.value) == "MAP_NOT_FOUND"
