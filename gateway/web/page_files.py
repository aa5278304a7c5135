"""The web page's files, as `make setup` built them.

Files below assets/ have a hash of their content in their names, so browsers may keep them for ever; they ask again for
the others. If a compressed copy (.br, .gz) lies beside a file, a browser that accepts the encoding gets the copy.
"""

from __future__ import annotations

import os
from mimetypes import guess_type
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Receive, Scope, Send
from typing_extensions import override

_ENCODINGS = {"br": ".br", "gzip": ".gz"}  # the better one first
_FOR_EVER = "public, max-age=31536000, immutable"
_NOT_BUILT = (
    "The gateway serves HTTP here, but its web page is not built: run `make page` in the repository.\n"
    "The API works without it: docs/guides/http.md shows calls with curl.\n"
)


class PageFiles(StaticFiles):
    """Serves the files of a folder; says how to build the page while the folder is missing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)
        self._folder = folder

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not (self._folder / "index.html").exists():
            await PlainTextResponse(_NOT_BUILT, 404)(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            # Not 405: the Connect protocol reads 404 as "unimplemented".
            await PlainTextResponse("There is nothing here to call.\n", 404)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    @override
    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the response for a file, compressed if it can be."""
        path = Path(full_path)
        headers = Headers(scope=scope)
        encoding, file, found = _smallest(path, stat_result, headers.get("accept-encoding", ""))
        response = FileResponse(
            file,
            status_code,
            {
                "Cache-Control": _FOR_EVER if path.parent.name == "assets" else "no-cache",
                "Vary": "Accept-Encoding",
                **({"Content-Encoding": encoding} if encoding else {}),
            },
            guess_type(path.name)[0],
            stat_result=found,
        )
        return NotModifiedResponse(response.headers) if self.is_not_modified(response.headers, headers) else response


def _smallest(path: Path, found: os.stat_result, accepts: str) -> tuple[str, Path, os.stat_result]:
    """Return the encoding, the path and the status of the smallest copy that a browser accepts."""
    accepted = _accepted(accepts)
    for encoding, suffix in _ENCODINGS.items():
        compressed = path.with_name(f"{path.name}{suffix}")
        if encoding in accepted and compressed.is_file():
            return encoding, compressed, compressed.stat()
    return "", path, found


def _accepted(header: str) -> set[str]:
    """Return the encodings that a request accepts."""
    found = set()
    for each in header.split(","):
        name, _, weight = each.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0"):
            found.add(name.strip().lower())
    return found
