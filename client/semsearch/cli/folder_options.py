"""Options of the commands that keep folders in step, and the setup that they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from semsearch.cli.output import Output
from semsearch.cli.waiting import DEFAULT_PATIENCE, patient_client
from semsearch.client import Client
from semsearch.errors import AlreadyExists, NotFound
from semsearch.folders.exclusions import Exclusions
from semsearch.folders.roots import claim, root_of
from semsearch.folders.state import FolderState
from semsearch.folders.sync import FolderSync

Folder = Annotated[
    Path, typer.Argument(help="The folder, with everything below it.", exists=True, file_okay=False, metavar="DIR")
]
Collection = Annotated[
    str, typer.Option("--collection", "-c", help="The collection for the images; it is created if needed.")
]
Name = Annotated[
    str,
    typer.Option("--name", help="The folder's name in the collection; default: its own name.", metavar="NAME"),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="GLOB", help="Leave these out, written as in .gitignore; may be repeated. Files named"
        " .semsearchignore in the folders do the same.",
    ),
]  # fmt: skip
Delete = Annotated[bool, typer.Option("--delete", help="Remove images whose files are gone, without asking.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Continue although the folder is empty, lacks more than half of its images, is on another disk,"
        " or has the name of another folder.",
    ),
]  # fmt: skip
Reference = Annotated[
    bool,
    typer.Option("--reference", help="Leave originals where they are: the server keeps only thumbnails and paths."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="List the files that are passed over, with the reason.")]
Lines = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each file.")]


@contextmanager
def opened(
    server: str,
    folder: Path,
    name: str,
    collection: str,
    exclude: Sequence[str] | None,
    output: Output,
    *,
    force: bool = False,
    reference: bool = False,
    patience: float = DEFAULT_PATIENCE,
) -> Iterator[FolderSync]:
    """Connect to the server, create the collection if needed, and lock the root against other processes.

    If the server goes away, each call waits for `patience` seconds.
    """
    exclusions = Exclusions(exclude or ())
    root = root_of(folder, name, server, collection)
    with (
        patient_client(server, output, patience) as client,
        FolderState() as state,
        state.lock(server, collection, root.name),
    ):
        ensure_collection(client, collection, output, reference=reference)
        claim(root, state, force=force)
        yield FolderSync(client, state, root, exclusions, force=force, reference=reference)


def ensure_collection(client: Client, collection: str, output: Output, *, reference: bool = False) -> None:
    """Create the collection if it does not exist, and say so."""
    try:
        client.get_collection(collection)
    except NotFound:
        try:
            client.create_collection(collection)
        except AlreadyExists:
            return  # another client has just created it
        kept = "a thumbnail of each image" if reference else "a copy of each image (with --reference, only a thumbnail)"
        output.say(f"Created the collection {collection}. The server keeps {kept}.")
