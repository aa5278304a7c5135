"""The first queries that are shown when everything is up: lines for a shell, to be pasted as they are.

They run in the folder that the launcher was started in. Bytes are base64 in grpcurl's JSON; `tr` stands there because
`base64 -w0` is GNU's alone.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GRPCURL = Path(".tools/bin/grpcurl")
_TAGGED = "cat-00.webp"
_SIMILAR = "boat-00.webp"


@dataclass(frozen=True)
class Example:
    """A command line and what it does."""

    title: str
    line: str


def examples(server: str, gallery: Path) -> tuple[Example, ...]:
    """Returns five first queries to the gateway at `server`; two of them send an image of the folder `gallery`."""
    search, galleries = "semsearch.v1.SearchService", "semsearch.v1.GalleryService"
    return (
        Example("Search images by words", _call(server, f"{search}/SearchByText", {"query": "boat", "page_size": 3})),
        Example(
            "Tag an image file",
            _call_with_image(server, f"{search}/TagImage", gallery / _TAGGED, {"max_tags": 5}),
        ),
        Example("Find similar words", _call(server, f"{search}/SimilarWords", {"query": "dog", "page_size": 5})),
        Example(
            "Search images by an image",
            _call_with_image(server, f"{search}/SearchByImage", gallery / _SIMILAR, {"page_size": 3}),
        ),
        Example("List the images", _call(server, f"{galleries}/ListImages", {"page_size": 3})),
    )


def has_grpcurl() -> bool:
    """Tells whether the examples can be run at once."""
    return GRPCURL.exists() or shutil.which("grpcurl") is not None


def _grpcurl() -> str:
    """Returns the one on the PATH where only that is there; else the one that `make grpcurl` builds."""
    return "grpcurl" if not GRPCURL.exists() and shutil.which("grpcurl") else str(GRPCURL)


def _call(server: str, method: str, request: Mapping[str, object]) -> str:
    return f"{_grpcurl()} -plaintext -d {shlex.quote(json.dumps(request))} {server} {method}"


def _call_with_image(server: str, method: str, image: Path, request: Mapping[str, object]) -> str:
    content = f"$(base64 < {shlex.quote(str(image))} | tr -d '\\n')"
    message = json.dumps({"content": "%s", **request})
    return f'printf {shlex.quote(message)} "{content}" | {_grpcurl()} -plaintext -d @ {server} {method}'
