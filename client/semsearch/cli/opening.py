"""`semsearch open`: a result of the last search, in the program that shows images here."""

from __future__ import annotations

import hashlib
import mimetypes
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from semsearch.cli import last_search, options
from semsearch.cli.output import Output, counted, place_of
from semsearch.client import Client
from semsearch.errors import InvalidRequest, WrongState
from semsearch.values import Image


def open_result(
    number: Annotated[int, typer.Argument(min=1, help="The number of the result in the last search.", metavar="N")] = 1,
    as_json: options.Json = False,
) -> None:
    """Open the n-th image of the last search: the file itself where it is on this machine, or else a copy of it."""
    output = Output(as_json)
    last = last_search.recall()
    if last is None or not last.ids:
        raise InvalidRequest("There is no search whose results could be opened.", hint="Search first: semsearch search")
    image_id = last.id_of(number)
    if image_id is None:
        raise InvalidRequest(
            f"The last search has no result {number}: it has {counted(len(last.ids), 'result')}, from {last.first} on."
        )
    with Client(last.server) as client:
        image = client.get_image(image_id, collection=last.collection)
        file = local_file(image) or _downloaded(client, image)
    failed = typer.launch(str(file)) != 0
    if as_json:
        output.document({"id": image.id, "file": str(file), "opened": not failed})
    elif failed:
        output.say(f"No program here opens images. {place_of(image)} is in {file}")
    else:
        output.say(f"Opened {file}")
    if failed:
        raise typer.Exit(1)


def local_file(image: Image) -> Path | None:
    """Return the file that an image came from, if it is on this machine and still has the same bytes."""
    path = image.attributes.get("path")
    if not isinstance(path, str) or not path:
        return None
    try:
        file = Path(path).resolve()
        if not file.is_file() or file.stat().st_size != image.size_bytes:
            return None
        with file.open("rb") as opened:
            same = hashlib.file_digest(opened, "sha256").hexdigest() == image.sha256
    except (OSError, ValueError):
        return None
    return file if same else None


def _downloaded(client: Client, image: Image) -> Path:
    """Return a new file with an image's bytes, or its thumbnail if that is all that is stored.

    The file stays, since a viewer may read it at any time.
    """
    try:
        content = client.download_image(image.id, collection=image.collection)
        suffix = mimetypes.guess_extension(image.media_type) or ".img"
    except WrongState as error:
        if error.reason != "ORIGINAL_ELSEWHERE":
            raise
        content, suffix = client.download_image(image.id, collection=image.collection, thumbnail=True), ".webp"
    file = Path(tempfile.mkdtemp(prefix="semsearch-")) / f"{image.sha256[:12]}{suffix}"
    file.write_bytes(content)
    return file
