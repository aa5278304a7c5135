"""Limits: what a server accepts, and how much its caller may do."""

from __future__ import annotations

from semsearch import translate
from semsearch.transport.calls import Call
from semsearch.transport.methods import unary
from semsearch.v1 import limits_service_pb2 as pb
from semsearch.values import Limits


class LimitsMethods:
    """The method of LimitsService."""

    @unary
    def get_limits(self, *, timeout: float | None = None) -> Call[Limits]:
        """Return the limits of calls, and what this caller may do and has done today; costs nothing of its quotas.

        >>> client.get_limits().most("semsearch.v1.BatchIndexImagesRequest.images", "elements")
        100.0
        """
        return Call(pb.GetLimitsRequest(), translate.limits, timeout)
