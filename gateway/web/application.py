"""The application of the HTTP port: RPCs, images, health, the page, and its log-in.

Health, and the files of the page, need no token: they say nothing about anyone's images, and without the page nobody
could log in there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from gateway.api.statuses import ERRORS
from gateway.collections.gallery import Gallery
from gateway.settings import GatewaySettings
from gateway.web.headers import SafeHeaders
from gateway.web.hosts import HostGuard
from gateway.web.images import image_routes
from gateway.web.page_files import PageFiles
from gateway.web.rpcs import Rpcs
from gateway.web.sessions import session_routes
from serving.byte_budget import ByteBudget
from serving.gates import Gate
from serving.http_requests import internal_error_text

PAGE = Path(__file__).parent / "static"
# Headers that Connect and gRPC-Web clients on other web pages send, and those that they must be able to read.
_REQUEST_HEADERS = (
    "Authorization",
    "Connect-Protocol-Version",
    "Connect-Timeout-Ms",
    "Content-Encoding",
    "Content-Type",
    "Grpc-Timeout",
    "Range",
    "Traceparent",
    "X-Grpc-Web",
    "X-User-Agent",
)
_RESPONSE_HEADERS = ("Content-Range", "ETag", "Grpc-Message", "Grpc-Status", "Grpc-Status-Details-Bin", "Retry-After")
_PREFLIGHT_SECONDS = 7_200


def web_application(
    servicers: Mapping[ServiceDescriptor, object],
    gallery: Callable[[], Gallery],
    settings: GatewaySettings,
    downloads: ByteBudget,
    serving: Mapping[str, bool],
    gates: Sequence[Gate] = (),
    page: Path = PAGE,
) -> ASGIApp:
    """Return the application.

    `gallery` returns the present one, `downloads` bounds the originals being sent, and `serving` is the health of the
    services, by name.
    """

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def failed(_: Request, __: Exception) -> Response:
        return PlainTextResponse(internal_error_text(), 500)  # `RequestGuard` logs it

    async def ready(_: Request) -> Response:
        missing = [name for name, healthy in serving.items() if not healthy]
        return JSONResponse({"ready": not missing, "not_ready": missing}, 503 if missing else 200)

    origins = settings.allowed_origins
    middleware = [
        Middleware(HostGuard, listening=settings.host, allowed=settings.allowed_hosts),
    ]
    if origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=("GET", "POST"),
                allow_headers=_REQUEST_HEADERS,
                expose_headers=_RESPONSE_HEADERS,
                max_age=_PREFLIGHT_SECONDS,
            )
        )
    rpcs = Rpcs(servicers, ERRORS, settings.max_message_bytes, gates)
    application = Starlette(
        routes=[
            Route("/healthz", alive),
            Route("/readyz", ready),
            *session_routes(gates),
            *image_routes(gallery, downloads, gates),
            *(Mount(f"/{service.full_name}", rpcs) for service in servicers),
            Mount("/", PageFiles(page)),
        ],
        middleware=middleware,
        exception_handlers={Exception: failed},
    )
    # Around Starlette's own handler of errors too, which is outside of all its middleware.
    return SafeHeaders(application, other_origins=bool(origins))
