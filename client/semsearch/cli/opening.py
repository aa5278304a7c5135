"""`semsearch open`: opens a result of the last search in the system's image viewer.

A server may be a hostile one: it chooses neither where a file is written, nor with which program it is opened, and it
sends no more than the image that it described. What programs do with a picture is up to them.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from semsearch.cli import last_search, options
from semsearch.cli.output import Output, counted, place_of
from semsearch.client import Client
from semsearch.errors import DownloadFailed, FolderStopped, InvalidRequest, WrongState
from semsearch.folders.file_kinds import FileKind, kind_of
from semsearch.folders.path_text import from_text
from semsearch.folders.places import places_of
from semsearch.folders.state import FolderState
from semsearch.values import Image

# The types of pictures that a suite stores. By its suffix, a system chooses the program that opens a file.
SUFFIXES = {
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/jpeg": ".jpg",
    "image/mpo": ".mpo",
    "image/png": ".png",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "image/x-adobe-dng": ".dng",
    "image/x-canon-cr2": ".cr2",
    "image/x-canon-cr3": ".cr3",
    "image/x-fuji-raf": ".raf",
    "image/x-nikon-nef": ".nef",
    "image/x-olympus-orf": ".orf",
    "image/x-panasonic-rw2": ".rw2",
    "image/x-sony-arw": ".arw",
}
_OF_NO_PICTURE = ".img"
_MAX_THUMBNAIL_BYTES = 16 * 2**20


def open_result(
    number: Annotated[int, typer.Argument(min=1, help="The number of the result in the last search.", metavar="N")] = 1,
    as_json: options.Json = False,
) -> None:
    """Open the n-th image of the last search: the file itself if it is on this machine, otherwise a copy."""
    output = Output(as_json)
    last = last_search.recall()
    if last is None or not last.ids:
        raise InvalidRequest("There are no search results to open.", hint="Search first: semsearch search")
    image_id = last.id_of(number)
    if image_id is None:
        raise InvalidRequest(
            f"The last search has no result {number}: it has {counted(len(last.ids), 'result')}, from {last.first}."
        )
    with Client(last.server) as client:
        image = client.get_image(image_id, collection=last.collection)
        file = local_file(image, last.server) or _downloaded(client, image)
    is_picture = kind_of(file.name) is FileKind.IMAGE
    failed = not is_picture or typer.launch(str(file)) != 0
    if as_json:
        output.document({"id": image.id, "file": str(file), "opened": not failed})
    elif not is_picture:
        output.say(
            f"{place_of(image)} was not opened, because its type is not one of pictures: {image.media_type!r}. It is "
            f"in {file}"
        )
    elif failed:
        output.say(f"No program here opens images. {place_of(image)} is in {file}")
    else:
        output.say(f"Opened {file}")
    if failed:
        raise typer.Exit(1)


def local_file(image: Image, server: str) -> Path | None:
    """Return the file that an image came from, if it is on this machine and still has the same bytes."""
    return next((file.resolve() for file in _candidates(image, server) if _is_file_of(file, image)), None)


def _candidates(image: Image, server: str) -> Iterator[Path]:
    """Yield possible paths of an image's file: below the roots that were synced here, or below the working folder."""
    places = [image.original_at, *places_of(image.attributes)]
    with suppress(FolderStopped):  # the saved state of folders cannot be read
        state = FolderState()
        for name, _, path in (place.partition("/") for place in dict.fromkeys(places)):
            folder = state.folder_named(server, image.collection, name) if path else None
            if folder is not None:
                yield folder / from_text(path)
    path_attribute = image.attributes.get("path")
    if isinstance(path_attribute, str) and path_attribute:
        yield Path(from_text(path_attribute))


def _is_file_of(file: Path, image: Image) -> bool:
    """Return whether a file has an image's bytes. Other kinds of files are never opened, whatever a server says."""
    try:
        if kind_of(file.name) is not FileKind.IMAGE or not file.is_file() or file.stat().st_size != image.size_bytes:
            return False
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == image.sha256
    except (OSError, ValueError):
        return False


def _downloaded(client: Client, image: Image) -> Path:
    """Return a new file with an image's bytes, or its thumbnail if the server stores only that.

    The file stays, since a viewer may read it at any time.

    Raises:
        DownloadFailed: the bytes are not those of the image.
    """
    try:
        content = client.download_image(image.id, collection=image.collection, max_bytes=image.size_bytes)
        suffix = SUFFIXES.get(image.media_type, _OF_NO_PICTURE)
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise DownloadFailed("The bytes that the server sent are not those of the image, so nothing was opened.")
    except WrongState as error:
        if error.reason != "ORIGINAL_ELSEWHERE":
            raise
        content = client.download_image(
            image.id, collection=image.collection, thumbnail=True, max_bytes=_MAX_THUMBNAIL_BYTES
        )
        suffix = SUFFIXES["image/webp"]
    file = Path(tempfile.mkdtemp(prefix="semsearch-")) / f"image{suffix}"
    with file.open("xb") as opened:
        opened.write(content)
    return file
