"""`semsearch collections list`, `create`, `delete` and `rename`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.filesize import decimal

from semsearch.cli import options
from semsearch.cli.output import Output, counted
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client

app = typer.Typer(
    help="List, create, rename and delete collections of images.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Id = Annotated[
    str,
    typer.Argument(
        help="The collection's id: lower-case letters, digits and hyphens, beginning with a letter.", metavar="ID"
    ),
]


@app.command("list")
def list_collections(server: options.Server = DEFAULT_SERVER, as_json: options.Json = False) -> None:
    """List the collections with their images, their size on disk and their model."""
    output = Output(as_json)
    with Client(server) as client:
        # Only GetCollection returns the size of the images.
        found = [client.get_collection(each.id) for each in client.list_collections()]
    if as_json:
        output.document(found)
        return
    output.table(
        ["id", "name", "images ", "on disk ", "model", "created"],
        [
            [
                each.id,
                "" if each.display_name == each.id else each.display_name,
                f"{each.image_count:,}",
                decimal(each.index_bytes + (each.image_bytes or 0)),
                each.model_id,
                f"{each.create_time:%Y-%m-%d}",
            ]
            for each in found
        ],
    )
    output.say(f"{counted(len(found), 'collection')}.")


@app.command()
def create(
    collection: Id,
    name: Annotated[str, typer.Option(help="A name for people; default: the id.")] = "",
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Create an empty collection."""
    output = Output(as_json)
    with Client(server) as client:
        made = client.create_collection(collection, display_name=name)
    if as_json:
        output.document(made)
    else:
        output.say(f"Created the collection {made.id}. Add images with: semsearch index DIR -c {made.id}")


@app.command()
def rename(
    collection: Id,
    new: Annotated[str, typer.Argument(help="Its new id.", metavar="NEW")],
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Give a collection another id; its images stay as they are."""
    output = Output(as_json)
    with Client(server) as client:
        renamed = client.rename_collection(collection, new)
    if as_json:
        output.document(renamed)
    else:
        output.say(f"{collection} is now {renamed.id}, with {counted(renamed.image_count, 'image')}.")


@app.command()
def delete(
    collection: Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Delete a collection with all its images, after asking. The default collection is emptied but stays."""
    output = Output(as_json)
    with Client(server) as client:
        found = client.get_collection(collection)
        if not yes:
            _ask(found.id, found.image_count)
        deleted = client.delete_collection(collection)
    if as_json:
        output.document({"collection": found.id, "deleted_image_count": deleted})
    elif found.id == DEFAULT_COLLECTION:
        output.say(f"{found.id} is empty now: {counted(deleted, 'image')} deleted.")
    else:
        output.say(f"{found.id} is deleted, with {counted(deleted, 'image')}.")


def _ask(collection: str, image_count: int) -> None:
    what = "Empty" if collection == DEFAULT_COLLECTION else "Delete"
    question = f"{what} the collection {collection} with {counted(image_count, 'image')}?"
    # Without a terminal, typer ends the command as it does after "no".
    typer.confirm(question, abort=True, err=True)
