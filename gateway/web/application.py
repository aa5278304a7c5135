"""The HTTP port's application: RPCs, images, health and the page, put together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.api.statuses import ERRORS
from gateway.collections.gallery import Gallery
from gateway.settings import GatewaySettings
from gateway.web.images import ImageRoutes
from gateway.web.rpcs import RpcApplication

STATIC = Path(__file__).parent / "static"


def web_application(
    servicers: Mapping[ServiceDescriptor, object],
    gallery: Gallery,
    settings: GatewaySettings,
    serving: Mapping[str, bool],
) -> Starlette:
    """Return the application; `serving` is the health of the services, by name."""

    async def ready(request: Request) -> Response:
        missing = [name for name, healthy in serving.items() if not healthy]
        return JSONResponse({"ready": not missing, "not_ready": missing}, 503 if missing else 200)

    async def alive(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    routes: list[BaseRoute] = [
        Route("/healthz", alive),
        Route("/readyz", ready),
        *ImageRoutes(gallery).routes(),
    ]
    for descriptor, servicer in servicers.items():
        rpcs = RpcApplication(descriptor, servicer, ERRORS, settings.max_message_bytes)
        routes.append(Mount(rpcs.path, rpcs))
    if STATIC.is_dir():
        routes.append(Mount("/", StaticFiles(directory=STATIC, html=True)))
    return Starlette(routes=routes)
