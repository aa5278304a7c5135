"""CoordinationService over gRPC: leases and records (see `index_service.coordination`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, TypeVar

import grpc.aio
from semsearch.index.v1 import coordination_service_pb2 as pb
from semsearch.index.v1 import coordination_service_pb2_grpc as pb_grpc
from typing_extensions import override

from index_service.api.changes import Changes
from index_service.api.translate import coordination
from index_service.coordination.leases import Leases
from index_service.coordination.records import Records

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class CoordinationServicer(pb_grpc.CoordinationServiceServicer):
    """Serves the leases and records of a data folder; `threads` are its own, so no search delays a lease."""

    def __init__(self, leases: Leases, records: Records, threads: Executor) -> None:
        self._leases = leases
        self._records = records
        self._threads = threads

    @override
    async def AcquireLease(self, request: pb.AcquireLeaseRequest, context: Context) -> pb.AcquireLeaseResponse:
        """Grant a lease if it is free."""
        wanted = coordination.to_wanted(request)
        grant = await self._on_thread(
            lambda: self._leases.acquire(
                wanted.name, wanted.holder, wanted.address, wanted.ttl_seconds, wanted.ended_holder
            )
        )
        return pb.AcquireLeaseResponse(granted=grant.granted, lease=coordination.from_lease(grant.lease))

    @override
    async def RenewLease(self, request: pb.RenewLeaseRequest, context: Context) -> pb.RenewLeaseResponse:
        """Extend a lease by its ttl."""
        self._leases.renew(coordination.to_name(request.name), request.number)
        return pb.RenewLeaseResponse()

    @override
    async def ReleaseLease(self, request: pb.ReleaseLeaseRequest, context: Context) -> pb.ReleaseLeaseResponse:
        """End a lease at once."""
        name = coordination.to_name(request.name)
        await self._on_thread(lambda: self._leases.release(name, request.number))
        return pb.ReleaseLeaseResponse()

    @override
    async def GetLease(self, request: pb.GetLeaseRequest, context: Context) -> pb.GetLeaseResponse:
        """Return a lease."""
        return pb.GetLeaseResponse(lease=coordination.from_lease(self._leases.get(coordination.to_name(request.name))))

    @override
    async def WatchLease(self, request: pb.WatchLeaseRequest, context: Context) -> AsyncIterator[pb.WatchLeaseResponse]:
        """Stream a lease whenever its number changes or it becomes free."""
        name = coordination.to_name(request.name)
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        last: tuple[int, bool] | None = None
        with self._leases.watched(lambda: loop.call_soon_threadsafe(changed.set)):
            while True:
                changed.clear()
                lease = self._leases.get(name)
                now = lease.number, lease.remaining_seconds is None
                if now != last:
                    last = now
                    yield pb.WatchLeaseResponse(lease=coordination.from_lease(lease))
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), lease.remaining_seconds)

    @override
    async def GetRecord(self, request: pb.GetRecordRequest, context: Context) -> pb.GetRecordResponse:
        """Return a record."""
        name = coordination.to_name(request.name)
        record = await self._on_thread(lambda: self._records.get(name))
        return pb.GetRecordResponse(record=pb.Record(name=name, value=record.value, version=record.version))

    @override
    async def PutRecord(self, request: pb.PutRecordRequest, context: Context) -> pb.PutRecordResponse:
        """Replace a record."""
        name, value = coordination.to_name(request.name), coordination.to_value(request.value)
        put = Changes(self._leases, context).submit(
            lambda: self._threads.submit(self._records.put, name, value, request.expected_version)
        )
        return pb.PutRecordResponse(version=await asyncio.wrap_future(put))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
