"""What the embedder's methods cost in quotas, where that is not one read or one change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.v1 import limits_service_pb2

from embedder_service import translate
from serving.quotas.costs import Cost, costs_of, free, of_each
from serving.quotas.quota import Kind

_LIMITS = limits_service_pb2.DESCRIPTOR.services_by_name["LimitsService"]
_SERVICE = pb.DESCRIPTOR.services_by_name["EmbedderService"]


def _images(request: pb.EmbedImagesRequest) -> Mapping[Kind, int]:
    return {Kind.EMBED: of_each(len(request.images), translate.MAX_IMAGES)}


def _image(_: Any) -> Mapping[Kind, int]:
    return {Kind.EMBED: 1}


def _texts(request: pb.EmbedTextRequest) -> Mapping[Kind, int]:
    return {Kind.READ: of_each(len(request.queries), translate.MAX_QUERIES)}


COSTS: Mapping[str, Cost] = costs_of(
    [_LIMITS, _SERVICE],
    {
        f"{_LIMITS.full_name}/GetLimits": free,
        f"{_SERVICE.full_name}/EmbedText": _texts,
        f"{_SERVICE.full_name}/EmbedImages": _images,
        f"{_SERVICE.full_name}/StreamEmbedImages": _image,
    },
)
