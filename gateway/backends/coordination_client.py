"""`Leases` and `Records` that call CoordinationService, which the index service serves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from semsearch.index.v1 import coordination_service_pb2 as pb
from semsearch.index.v1 import coordination_service_pb2_grpc as pb_grpc

from gateway.backends.coordination import LeaseState
from gateway.backends.refusals import RecordChanged
from gateway.backends.rpc_errors import calls_to
from gateway.lease import Lease

_SERVICE = "index"
# A watch never ends by itself. The deadline detects silently dead connections.
_WATCH_SECONDS = 300.0
# Of a lease's ttl: an answer that comes later is of no use.
_CALL_SHARE = 0.5
_RELEASE_SECONDS = 1.0


class LeaseClient:
    """Implements `gateway.backends.coordination.Leases`."""

    def __init__(self, channel: grpc.aio.Channel, ttl_seconds: float) -> None:
        self._stub: pb_grpc.CoordinationServiceAsyncStub = pb_grpc.CoordinationServiceStub(channel)
        self._call_seconds = _CALL_SHARE * ttl_seconds

    async def acquire(
        self, name: str, holder: str, address: str, ttl_seconds: float, ended_holder: str
    ) -> tuple[bool, LeaseState]:
        """Return whether the lease was granted, and the lease as it is now."""
        ttl = Duration()
        ttl.FromMilliseconds(round(ttl_seconds * 1_000))
        request = pb.AcquireLeaseRequest(name=name, holder=holder, address=address, ttl=ttl, ended_holder=ended_holder)
        with calls_to(_SERVICE):
            response = await self._stub.AcquireLease(request, timeout=self._call_seconds)
        return response.granted, _state(response.lease)

    async def renew(self, name: str, number: int) -> None:
        """Extend a lease by its ttl; raises `OwnerChanged` if it is not held under this number any more."""
        with calls_to(_SERVICE):
            await self._stub.RenewLease(pb.RenewLeaseRequest(name=name, number=number), timeout=self._call_seconds)

    async def release(self, name: str, number: int) -> None:
        """End a lease at once, if it is held under this number."""
        with calls_to(_SERVICE):
            await self._stub.ReleaseLease(pb.ReleaseLeaseRequest(name=name, number=number), timeout=_RELEASE_SECONDS)

    async def watch(self, name: str) -> AsyncIterator[LeaseState]:
        """Yield a lease as it is now, and whenever it is granted or becomes free."""
        with calls_to(_SERVICE):
            async for response in self._stub.WatchLease(pb.WatchLeaseRequest(name=name), timeout=_WATCH_SECONDS):
                yield _state(response.lease)


class RecordClient:
    """Implements `gateway.backends.coordination.Records`; `write` is a change under a lease."""

    def __init__(self, channel: grpc.aio.Channel, lease: Lease) -> None:
        self._stub: pb_grpc.CoordinationServiceAsyncStub = pb_grpc.CoordinationServiceStub(channel)
        self._lease = lease

    async def read(self, name: str) -> bytes:
        """Return a value; b"" if none was written."""
        return (await self._get(name)).value

    async def write(self, name: str, value: bytes) -> None:
        """Replace a value, whatever it was."""
        while True:
            # A call that gRPC repeats may find its own value, in a version that it did not expect.
            record = await self._get(name)
            if record.value == value and record.version:
                return
            request = pb.PutRecordRequest(name=name, value=value, expected_version=record.version)
            try:
                with self._lease.change() as metadata, calls_to(_SERVICE):
                    await self._stub.PutRecord(request, metadata=metadata)
            except RecordChanged:
                continue
            return

    async def write_first(self, name: str, value: bytes) -> bytes:
        """Write a value, unless there is one already; return the value that is there now."""
        record = await self._get(name)
        if record.value:
            return record.value
        request = pb.PutRecordRequest(name=name, value=value, expected_version=record.version)
        try:
            with calls_to(_SERVICE):
                await self._stub.PutRecord(request)
        except RecordChanged:
            return await self.read(name)
        return value

    async def _get(self, name: str) -> pb.Record:
        with calls_to(_SERVICE):
            return (await self._stub.GetRecord(pb.GetRecordRequest(name=name))).record


def _state(lease: pb.Lease) -> LeaseState:
    return LeaseState(lease.number, lease.holder, lease.address, is_free=not lease.HasField("remaining"))
