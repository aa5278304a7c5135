"""Refuse calls in an overload by their heads alone: their messages are not read.

In an overload many calls are refused for each one that is answered, so a refusal has to cost little. Here it costs
a third of what it costs to take a call through the gates to that of admission.

Only a call that would get as far as the gate of admission is refused here. One that another gate has to see goes
through the gates: when the process shuts down, when the caller may not make the call or has too many in progress, when
the audit log has room for a line, and when the caller records the call's trace. Callers without tokens are counted by
their address, which a head does not have, so here they are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import grpc
import grpc.aio
from grpc_status import rpc_status

from serving import tracing
from serving.access.gate import AccessGate
from serving.admission import TooBusy
from serving.admission_gate import AdmissionGate
from serving.audit import AuditGate
from serving.calls import Method
from serving.drain import Drain
from serving.errors import to_status
from serving.lanes import Lane
from serving.quotas.gate import QuotaGate

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs only


@dataclass(frozen=True)
class EarlyRefusal:
    """Refuses calls of one process, on behalf of the gate of admission."""

    drain: Drain
    audit: AuditGate | None
    access: AccessGate | None
    quotas: QuotaGate
    admission: AdmissionGate

    async def of(self, method: Method, metadata: Mapping[str, str]) -> Handler | None:
        """Return what refuses a call, and count it as refused; None if it has to go through the gates."""
        lane = self.admission.lane_of_refused(method.name, metadata)
        if (
            lane is None
            or self.drain.refuses
            or tracing.is_recorded(metadata.get(tracing.HEADER))
            or not await self._may_call(method, metadata)
            or (self.audit is not None and not self.audit.skips_overloaded(method.service, method.method))
        ):
            return None
        method.count(grpc.StatusCode.RESOURCE_EXHAUSTED)
        return _refusing(lane, self.admission.count_refused(lane))

    async def _may_call(self, method: Method, metadata: Mapping[str, str]) -> bool:
        if self.access is None:
            return True
        identity = await self.access.identity_of(method.service, method.method, metadata)
        return identity is not None and (identity.from_suite or self.quotas.has_room(identity.caller))


@lru_cache(maxsize=64)
def _refusing(lane: Lane, limit: int) -> Handler:
    """Return a method that answers with a status without reading its request, whether that is a stream or not."""
    status = rpc_status.to_status(to_status(TooBusy(lane, limit), {}))

    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        # An exception, which `abort` raises, costs more.
        context.set_code(status.code)
        context.set_details(status.details)
        context.set_trailing_metadata(status.trailing_metadata)

    return grpc.stream_stream_rpc_method_handler(refuse)
