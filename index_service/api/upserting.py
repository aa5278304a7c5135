"""Writes the items of a stream of messages, several messages at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from functools import partial

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.changes import Changes
from index_service.api.translate import items
from index_service.contract import Index
from index_service.errors import ModelMismatch
from index_service.items import Written
from serving.byte_budget import ByteShare
from serving.errors import InvalidField

# Messages of one stream that may wait for their commit while the next one is read and translated.
_IN_FLIGHT = 4


async def upsert(
    index: Index,
    first: pb.UpsertItemsRequest,
    further: AsyncIterator[pb.UpsertItemsRequest],
    share: ByteShare,
    changes: Changes,
    threads: Executor,
) -> int:
    """Write the messages of a stream and return their number of items.

    Raises:
        InvalidField, ModelMismatch: a message is about another index or model than the first one.
        LeaseLost: the call's lease is no longer held.
    """
    loop = asyncio.get_running_loop()
    in_flight: deque[asyncio.Future[Written]] = deque()
    count = 0
    message: pb.UpsertItemsRequest | None = first
    while message is not None:
        _check_same_stream(first, message)
        size = message.ByteSize()
        await share.take(size)
        write = await loop.run_in_executor(threads, items.to_upsert, message, index.definition.dimension)
        in_flight.append(asyncio.wrap_future(changes.submit(partial(index.upsert, write))))
        in_flight[-1].add_done_callback(lambda _, size=size: share.give_back(size))  # type: ignore[misc]
        if len(in_flight) >= _IN_FLIGHT:
            count += (await in_flight.popleft()).count
        message = await anext(further, None)
    for written in await asyncio.gather(*in_flight):
        count += written.count
    return count


def _check_same_stream(first: pb.UpsertItemsRequest, message: pb.UpsertItemsRequest) -> None:
    if message.index not in ("", first.index):
        raise InvalidField("index", f'is "{first.index}" in the first message of the stream; it cannot change.')
    if message.model_id not in ("", first.model_id):
        raise ModelMismatch(first.index, first.model_id, message.model_id)
