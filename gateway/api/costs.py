"""What the gateway's methods cost in quotas, where that is not one read or one change."""

from __future__ import annotations

from collections.abc import Mapping

from semsearch.v1 import (
    backup_service_pb2,
    gallery_service_pb2,
    limits_service_pb2,
    map_service_pb2,
    model_service_pb2,
    search_service_pb2,
)

from gateway.api import gallery_servicer, translate
from serving.quotas.costs import Cost, costs_of, free, of_each
from serving.quotas.quota import Kind

_FILES = (
    backup_service_pb2,
    gallery_service_pb2,
    limits_service_pb2,
    map_service_pb2,
    model_service_pb2,
    search_service_pb2,
)
_GALLERY = "semsearch.v1.GalleryService"
_SEARCH = "semsearch.v1.SearchService"


def _is_embedded(
    image: search_service_pb2.ImageTerm | search_service_pb2.SearchByImageRequest | search_service_pb2.TagImageRequest,
) -> bool:
    """Return whether the model has to look at an image: the vector of a stored one is known, but not that of a part."""
    return bool(image.content or (image.image_id and image.HasField("crop")))


def _searched(request: search_service_pb2.SearchByImageRequest) -> Mapping[Kind, int]:
    pictures = _is_embedded(request) + sum(_is_embedded(image) for image in request.images)
    return {Kind.READ: 1, Kind.EMBED: of_each(pictures, translate.MAX_IMAGES)} if pictures else {Kind.READ: 1}


def _counted(request: search_service_pb2.CountMatchesRequest) -> Mapping[Kind, int]:
    return _searched(request.by_image)


def _tagged(request: search_service_pb2.TagImageRequest) -> Mapping[Kind, int]:
    return {Kind.READ: 1, Kind.EMBED: 1} if _is_embedded(request) else {Kind.READ: 1}


def _uploaded(message: gallery_service_pb2.IndexImagesRequest) -> Mapping[Kind, int]:
    """Return the cost of a message; the first has no image, and counts as the stream's one read."""
    return {Kind.WRITE: 1, Kind.EMBED: 1} if message.HasField("image") else {Kind.READ: 1}


def _batch(request: gallery_service_pb2.BatchIndexImagesRequest) -> Mapping[Kind, int]:
    images = of_each(len(request.images), gallery_servicer.MAX_BATCH_IMAGES)
    return {Kind.WRITE: images, Kind.EMBED: images}


def _deleted(request: gallery_service_pb2.DeleteImagesRequest) -> Mapping[Kind, int]:
    return {Kind.WRITE: of_each(len(request.ids), gallery_servicer.MAX_DELETED_IDS)}


COSTS: Mapping[str, Cost] = costs_of(
    [service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()],
    {
        f"{_SEARCH}/SearchByImage": _searched,
        f"{_SEARCH}/CountMatches": _counted,
        f"{_SEARCH}/TagImage": _tagged,
        "semsearch.v1.LimitsService/GetLimits": free,
        f"{_GALLERY}/IndexImages": _uploaded,
        f"{_GALLERY}/BatchIndexImages": _batch,
        f"{_GALLERY}/DeleteImages": _deleted,
    },
)
