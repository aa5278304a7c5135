"""MapService on top of the core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
from semsearch.v1 import map_service_pb2 as pb
from semsearch.v1 import map_service_pb2_grpc as pb_grpc
from typing_extensions import override

from gateway.api.map_messages import map_message, progress_message, stream_messages
from gateway.api.translate import collection_or_default
from gateway.maps.maps import Maps

Context = grpc.aio.ServicerContext[Any, Any]


class MapServicer(pb_grpc.MapServiceServicer):
    """Describes, computes and sends maps."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    @override
    async def GetMap(self, request: pb.GetMapRequest, context: Context) -> pb.GetMapResponse:
        """Return the description of a collection's map."""
        collection = collection_or_default(request.collection)
        state = await self._maps.describe(collection)
        return pb.GetMapResponse(
            map=map_message(collection, state.header) if state.header else None,
            progress=progress_message(state.progress) if state.progress else None,
            failure=state.failure,
        )

    @override
    async def ComputeMap(self, request: pb.ComputeMapRequest, context: Context) -> AsyncIterator[pb.ComputeMapResponse]:
        """Compute a collection's map, streaming the progress."""
        collection = collection_or_default(request.collection)
        revision = ""
        async with aclosing(self._maps.compute(collection, again=request.again)) as steps:
            async for progress in steps:
                header = (await self._maps.describe(collection)).header if progress.revision != revision else None
                revision = progress.revision
                yield pb.ComputeMapResponse(
                    progress=progress_message(progress), map=map_message(collection, header) if header else None
                )
        header = (await self._maps.describe(collection)).header
        yield pb.ComputeMapResponse(map=map_message(collection, header) if header else None)

    @override
    async def CancelMap(self, request: pb.CancelMapRequest, context: Context) -> pb.CancelMapResponse:
        """Stop the computation of a collection's map."""
        return pb.CancelMapResponse(cancelled=await self._maps.cancel(collection_or_default(request.collection)))

    @override
    async def StreamMap(self, request: pb.StreamMapRequest, context: Context) -> AsyncIterator[pb.StreamMapResponse]:
        """Stream the places of a collection's images."""
        collection = collection_or_default(request.collection)
        for message in stream_messages(collection, await self._maps.read(collection)):
            yield message
