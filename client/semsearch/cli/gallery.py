"""`semsearch list` and `delete`."""

from __future__ import annotations

import itertools
from typing import Annotated

import typer

from semsearch.cli import options
from semsearch.cli.ids import MIN_CHARACTERS, whole_ids
from semsearch.cli.nothing_found import why_no_image
from semsearch.cli.output import Output, attributes_of, counted, place_of
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client

# The server's limit for one call.
_IDS_A_CALL = 1_000


def list_images(
    count: Annotated[
        int | None, typer.Option("-n", "--count", min=1, help="Maximum number of images; default: all.")
    ] = None,
    filters: options.Filters = None,
    taken: options.Taken = "",
    collection: options.Collection = DEFAULT_COLLECTION,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """List the images of a collection, oldest first; with --json, one per line."""
    output = Output(as_json)
    equal = options.equal_of(filters)
    with Client(server) as client:
        images = itertools.islice(
            client.list_images(collection=collection, where=options.where_of(equal, taken)), count
        )
        if as_json:
            for image in images:
                output.line(image)
            return
        rows = [
            [
                place_of(image),
                f"{image.width}×{image.height}",
                f"{image.size_bytes:,}",
                image.taken_time[:16].replace("T", " "),
                attributes_of(image),
                output.id_of(image),
            ]
            for image in images
        ]
        if not rows:
            output.say(why_no_image(client, collection, equal, taken) or "0 images.")
            return
    output.table(["image", "size ", "bytes ", "taken", "attributes", "id"], rows)
    output.say(f"{counted(len(rows), 'image')}.")


def delete(
    ids: Annotated[
        list[str],
        typer.Argument(
            help=f"The images' ids. For an id that is a SHA-256, its first {MIN_CHARACTERS} or more characters are"
            " enough if no other id begins with them."
        ),
    ],
    collection: options.Collection = DEFAULT_COLLECTION,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Delete images by their ids."""
    output = Output(as_json)
    deleted = 0
    unknown: list[str] = []
    with Client(server) as client:
        whole = whole_ids(client, collection, ids)
        for start in range(0, len(whole), _IDS_A_CALL):
            result = client.delete_images(whole[start : start + _IDS_A_CALL], collection=collection)
            deleted += result.deleted_count
            unknown += result.unknown_ids
    if as_json:
        output.document({"deleted_count": deleted, "unknown_ids": unknown})
    else:
        for image_id in unknown:
            output.say(f"There is no image {image_id}.")
        output.say(f"{deleted:,} deleted.")
    if unknown:
        raise typer.Exit(1)
