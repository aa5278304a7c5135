"""`semsearch demo`."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer
from platformdirs import user_cache_path

from semsearch.cli import options
from semsearch.cli.folder_report import FolderReport
from semsearch.cli.output import Output, place_of
from semsearch.cli.progress import progress_bar
from semsearch.client import DEFAULT_SERVER, Client
from semsearch.demo.download import download
from semsearch.demo.photo_set import FLOWERS, PhotoSet
from semsearch.demo.photos import attributes_of, unpack
from semsearch.doctor.listeners import listens
from semsearch.doctor.places import http_place
from semsearch.errors import AlreadyExists
from semsearch.folders.results import Outcome
from semsearch.folders.roots import root_of
from semsearch.folders.state import FolderState
from semsearch.folders.sync import FolderSync


def demo(
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="The collection for the photos; it is created if needed.")
    ] = "demo",
    source: Annotated[
        str,
        typer.Option("--from", help="Another place to take the archive from: a URL or a file.", metavar="URL"),
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(help="Where to keep the photos; default: the user's cache folder.", file_okay=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Download without asking.")] = False,
    server: options.Server = DEFAULT_SERVER,
) -> None:
    """Fetch a public set of photos, add them to a collection, and try first queries.

    The address, the size, the checksum and the licence are shown before anything is fetched. An interrupted run can be
    resumed.
    """
    output = Output(as_json=False)
    photos = FLOWERS
    kept = (folder or user_cache_path("semsearch") / "demo").absolute()
    with Client(server) as client:
        client.get_model()  # reports a missing server before a long download
        _fetch(photos, _address(source) or photos.url, kept, output, yes=yes)
        failed = _add(client, photos, kept / photos.root, server, collection, output)
        _try(client, photos, collection, output)
    if failed:
        raise typer.Exit(1)
    output.say(f"Try your own: semsearch search -c {shlex.quote(collection)} WORDS")
    place = http_place(server)
    if place and listens(place.host, place.port):
        scheme = "https" if client.server.tls else "http"
        output.say(f"In a browser: {scheme}://{place.address}/?{urlencode({'in': collection})}")


def _address(source: str) -> str:
    """Return a URL unchanged, and a file as a URL."""
    return source if not source or "://" in source else Path(source).absolute().as_uri()


def _fetch(photos: PhotoSet, address: str, kept: Path, output: Output, *, yes: bool) -> None:
    """Make sure the photos are in `kept`: ask, download and unpack them, unless they are there."""
    if (kept / photos.root).is_dir():
        return
    archive = kept / f"{photos.sha256[:12]}.tar"
    if not archive.exists():
        megabytes = photos.size_bytes / 1e6
        output.say(f"{photos.description}.")
        output.say(f"  from      {address}")
        output.say(f"  size      {megabytes:,.0f} MB, and as much again for the photos and for the server's copies")
        output.say(f"  SHA-256   {photos.sha256}")
        output.say(f"  licence   {photos.licence} ({photos.licence_url}); each photo's photographer is an attribute")
        output.say(f"  to        {kept}")
        if not yes:
            typer.confirm("Download?", abort=True, err=True)
        with progress_bar(output.messages, of_bytes=True) as progress:
            task = progress.add_task("downloading", total=photos.size_bytes)
            download(photos, address, archive, lambda done: progress.update(task, completed=done))
    output.say("The checksum is right. Unpacking ...")
    unpack(photos, archive, kept / photos.root)
    archive.unlink()


def _add(client: Client, photos: PhotoSet, folder: Path, server: str, collection: str, output: Output) -> int:
    """Add the photos that the collection lacks; return how many failed."""
    with contextlib.suppress(AlreadyExists):
        client.create_collection(collection)
    report = FolderReport(output, verbose=False)
    root = root_of(folder, "", server, collection)
    with FolderState() as state, state.lock(server, collection, root.name):
        sync = FolderSync(client, state, root, attributes_of=attributes_of(photos, folder))
        report.follow(sync, sync.run())
    output.say(report.sentence())
    return report.counts[Outcome.FAILED]


def _try(client: Client, photos: PhotoSet, collection: str, output: Output) -> None:
    """Print the nearest photo of each query."""
    rows = []
    for query in photos.queries:
        matches = client.search_by_text(query, collection=collection, page_size=1).matches
        if matches:
            (best,) = matches
            credit = str(best.image.attributes.get("photographer", ""))
            rows.append([query, f"{best.relevance:.3f}", place_of(best.image), credit])
        else:
            rows.append([query, "", "nothing is relevant enough", ""])
    output.table(["query", "relevance ", "nearest", "photo by"], rows)
