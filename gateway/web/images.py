"""Thumbnails and originals by GET: DownloadImage for browsers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.statuses import ERRORS
from gateway.collections.blobs import Rendition
from gateway.collections.gallery import Gallery
from gateway.collections.images import require_image_id
from gateway.collections.names import require_collection_id
from gateway.web.failures import failure_response
from serving import tracing
from serving.calls import CallFailed, Method


class ImageRoutes:
    """Answers GET for the renditions of images."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._method = Method("semsearch.v1.GalleryService", "DownloadImage", ERRORS)

    def routes(self) -> list[Route]:
        """Return the routes."""
        path = "/images/{collection}/{image}"
        return [
            Route(f"{path}/thumbnail", self._thumbnail, methods=["GET"]),
            Route(f"{path}/original", self._original, methods=["GET"]),
        ]

    async def _thumbnail(self, request: Request) -> Response:
        return await self._answer(request, Rendition.THUMBNAIL)

    async def _original(self, request: Request) -> Response:
        return await self._answer(request, Rendition.ORIGINAL)

    async def _answer(self, request: Request, rendition: Rendition) -> Response:
        try:
            async with self._method.call(request.headers.get(tracing.HEADER), None):
                collection = require_collection_id(request.path_params["collection"], "collection")
                image_id = require_image_id(request.path_params["image"], "id")
                download = await self._gallery.download(collection, image_id, rendition)
                return Response(download.content, media_type=download.media_type)
        except CallFailed as failed:
            return failure_response(failed.status)
