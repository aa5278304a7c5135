"""Thumbnails and originals by GET: DownloadImage for browsers.

    /images/{collection}/{image}/thumbnail    a WebP
    /images/{collection}/{image}/original     the bytes as they were uploaded; ranges are supported

The ETag is the SHA-256 of the original, which is known without reading a file. The content at a URL with `?v=`
and at least 8 digits of it never changes, so a browser may keep it without asking again.

The media type is that of the content, which was decoded when the image was added. Types that browsers do not show as
pictures are sent as downloads. Nothing is ever sent as a type that could run scripts, such as SVG or HTML.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from urllib.parse import quote

from semsearch.v1 import gallery_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.api.statuses import ERRORS
from gateway.collections.blobs import Rendition
from gateway.collections.gallery import Gallery
from gateway.collections.images import StoredImage, require_image_id
from gateway.collections.names import require_collection_id
from gateway.web.byte_ranges import UnsatisfiableRange, byte_range
from gateway.web.failures import failure_response
from gateway.web.http_calls import call_of
from gateway.web.sessions import with_session
from serving.byte_budget import ByteBudget
from serving.calls import CallFailed, Method
from serving.gates import Gate

# Types that browsers show as pictures, with the extensions of their files.
SHOWN = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/tiff": "tif",
    "image/heic": "heic",
    "image/heif": "heif",
}
_VERSION_DIGITS = 8
_CHUNK_BYTES = 256 * 2**10
_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"


def image_routes(gallery: Callable[[], Gallery], downloads: ByteBudget, gates: Sequence[Gate] = ()) -> list[Route]:
    """Return the routes; originals are sent within the budget of all `downloads`, and more requests are refused."""
    return [
        Route(
            f"/images/{{collection}}/{{image}}/{each.value}",
            ImageEndpoint(gallery, each, downloads, gates),
            methods=["GET"],
        )
        for each in Rendition
    ]


class ImageEndpoint:
    """Answers GET for one rendition of images."""

    def __init__(
        self, gallery: Callable[[], Gallery], rendition: Rendition, budget: ByteBudget, gates: Sequence[Gate]
    ) -> None:
        self._gallery = gallery
        self._rendition = rendition
        self._budget = budget
        self._method = Method("semsearch.v1.GalleryService", "DownloadImage", ERRORS, gates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope)
        with ExitStack() as taken:
            try:
                call = call_of(self._method, request, with_session(request))
                async with self._method.call(call):
                    path = request.path_params
                    self._method.checked(call, pb.DownloadImageRequest(id=path["image"], collection=path["collection"]))
                    response = await self._answer(request, taken)
            except CallFailed as failed:
                response = failure_response(failed.status)
            await response(scope, receive, send)

    async def _answer(self, request: Request, taken: ExitStack) -> Response:
        """Return the response; `taken` holds its bytes until they are sent."""
        collection = require_collection_id(request.path_params["collection"], "collection")
        image_id = require_image_id(request.path_params["image"], "id")
        image = await self._gallery().get(collection, image_id)
        headers = _caching(request, image, self._rendition)
        if _has(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if self._rendition is Rendition.ORIGINAL:
            taken.enter_context(self._budget.taken_at_once(image.size_bytes))
        download = await self._gallery().read(image, self._rendition)
        headers |= _naming(image, download.media_type)
        if self._rendition is Rendition.THUMBNAIL:
            return Response(download.content, headers=headers)
        return _original(request, download.content, headers)


def _original(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    """Return the response with the requested bytes."""
    size = len(content)
    etag = headers["ETag"]
    range_header = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    try:
        part = byte_range(range_header, size)
    except UnsatisfiableRange:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Accept-Ranges"] = "bytes"
    if part is None:
        return _streamed(memoryview(content), 200, headers)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return _streamed(memoryview(content)[part.start : part.stop], 206, headers)


def _streamed(content: memoryview, status: int, headers: dict[str, str]) -> Response:
    async def chunks() -> AsyncIterator[memoryview]:
        for start in range(0, len(content), _CHUNK_BYTES):
            yield content[start : start + _CHUNK_BYTES]

    return StreamingResponse(chunks(), status, headers | {"Content-Length": str(len(content))})


def _caching(request: Request, image: StoredImage, rendition: Rendition) -> dict[str, str]:
    # Weak for a thumbnail: another version of this program may make other bytes of the same picture.
    etag = f'"{image.sha256}"' if rendition is Rendition.ORIGINAL else f'W/"{image.sha256}"'
    version = request.query_params.get("v", "")
    fixed = len(version) >= _VERSION_DIGITS and image.sha256.startswith(version)
    return {"ETag": etag, "Cache-Control": _FOR_EVER if fixed else _ASK_AGAIN}


def _has(request: Request, etag: str) -> bool:
    """Return whether the client already has the content; If-None-Match compares weakly (RFC 9110, 13.1.2)."""
    named = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return "*" in named or etag.removeprefix("W/") in named


def _naming(image: StoredImage, media_type: str) -> dict[str, str]:
    """Return the headers for the type of the content and the name of its file."""
    extension = SHOWN.get(media_type)
    name = quote(image.id if extension is None else f"{image.id.removesuffix(f'.{extension}')}.{extension}", safe="")
    return {
        "Content-Type": "application/octet-stream" if extension is None else media_type,
        "Content-Disposition": f"{'attachment' if extension is None else 'inline'}; filename*=UTF-8''{name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
