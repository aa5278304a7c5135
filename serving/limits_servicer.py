"""LimitsService: the limits of a service, and what its caller may do and has done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc.aio
import structlog
from semsearch.v1 import limits_service_pb2 as pb
from semsearch.v1 import limits_service_pb2_grpc as pb_grpc
from typing_extensions import override

from serving.limits import Limit
from serving.quotas import gate
from serving.quotas.limiter import Standing, Use
from serving.server import GrpcService

SERVICE = pb.DESCRIPTOR.services_by_name["LimitsService"]
_OTHERS_SECONDS = 2.0

Context = grpc.aio.ServicerContext[Any, Any]
log = structlog.get_logger(__name__)


class LimitsServicer(pb_grpc.LimitsServiceServicer):
    """Tells the limits of its own service, and of those behind `channels` that answer."""

    def __init__(self, service: str, limits: Sequence[Limit], channels: Sequence[grpc.aio.Channel] = ()) -> None:
        self._service = service
        self.use(limits)
        self._others = [pb_grpc.LimitsServiceStub(channel) for channel in channels]

    def use(self, limits: Sequence[Limit]) -> None:
        """Tell these limits of its own service from now on."""
        self._limits = [
            pb.Limit(name=each.name, most=each.most, unit=each.unit, setting=each.setting, service=self._service)
            for each in limits
        ]

    @override
    async def GetLimits(self, request: pb.GetLimitsRequest, context: Context) -> pb.GetLimitsResponse:
        """Return limits and quotas."""
        standing = gate.standing()
        others = await asyncio.gather(*map(_limits_of, self._others))
        return pb.GetLimitsResponse(
            limits=sorted(
                [*self._limits, *(limit for limits in others for limit in limits)],
                key=lambda limit: (limit.name, limit.unit, limit.service),
            ),
            quotas=[_quota(use, standing) for use in standing.uses],
            max_calls=standing.max_calls,
            caller=standing.caller,
        )


def limits_service(servicer: LimitsServicer) -> GrpcService:
    """Return the service, for a server."""
    return GrpcService(SERVICE.full_name, partial(pb_grpc.add_LimitsServiceServicer_to_server, servicer))


async def _limits_of(stub: pb_grpc.LimitsServiceStub) -> Sequence[pb.Limit]:
    get_limits: Any = stub.GetLimits  # of an asynchronous channel, which the type does not say
    try:
        response: pb.GetLimitsResponse = await get_limits(pb.GetLimitsRequest(), timeout=_OTHERS_SECONDS)
    except grpc.aio.AioRpcError as error:
        log.info("a service does not say its limits", code=error.code().name)
        return ()
    return response.limits


def _quota(use: Use, standing: Standing) -> pb.CallerQuota:
    quota = pb.CallerQuota(
        kind=use.kind.value,
        per_second=use.quota.per_second,
        burst=use.quota.burst,
        per_day=use.quota.per_day,
        used_today=use.used_today,
    )
    if use.quota.per_day:
        quota.day_end.FromSeconds(standing.day_end)
    return quota
