"""What the index service's methods cost in quotas, where that is not one read or one change."""

from __future__ import annotations

from collections.abc import Mapping

from semsearch.index.v1 import coordination_service_pb2
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.v1 import limits_service_pb2

from index_service.api.translate import items, searches
from serving.quotas.costs import Cost, costs_of, free, of_each
from serving.quotas.quota import Kind

_LIMITS = limits_service_pb2.DESCRIPTOR.services_by_name["LimitsService"]
_INDEX = pb.DESCRIPTOR.services_by_name["IndexService"]
_COORDINATION = coordination_service_pb2.DESCRIPTOR.services_by_name["CoordinationService"]


def _upserted(message: pb.UpsertItemsRequest) -> Mapping[Kind, int]:
    return {Kind.WRITE: of_each(len(message.items), items.MAX_BATCH)}


def _deleted(request: pb.DeleteItemsRequest) -> Mapping[Kind, int]:
    return {Kind.WRITE: of_each(len(request.ids), items.MAX_BATCH)}


def _searched(request: pb.SearchRequest) -> Mapping[Kind, int]:
    return {Kind.READ: of_each(len(request.queries), searches.MAX_QUERIES)}


COSTS: Mapping[str, Cost] = costs_of(
    [_LIMITS, _INDEX, _COORDINATION],
    {
        f"{_LIMITS.full_name}/GetLimits": free,
        f"{_INDEX.full_name}/UpsertItems": _upserted,
        f"{_INDEX.full_name}/DeleteItems": _deleted,
        f"{_INDEX.full_name}/Search": _searched,
    },
)
