"""The `semsearch` command. Exit status: 0 done, 1 something failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import io
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from semsearch.cli import (
    backup,
    certs,
    collections,
    demo,
    doctor,
    duplicates,
    encryption,
    gallery,
    index,
    index_operations,
    ingest,
    limits,
    model,
    opening,
    options,
    queries,
    token,
    top,
    watch,
)
from semsearch.cli.output import Output
from semsearch.errors import SemsearchError

_INTERRUPTED = 130

app = typer.Typer(
    name="semsearch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(index_operations.app, name="index")
app.command("sync")(index.sync)
app.command("watch")(watch.watch)
app.command("ingest")(ingest.ingest)
app.command("search", cls=options.QueryCommand)(queries.search)
app.command("open")(opening.open_result)
app.command("tag")(queries.tag)
app.command("words", cls=options.QueryCommand)(queries.similar_words)
app.command("list")(gallery.list_images)
app.command("delete")(gallery.delete)
app.command("duplicates")(duplicates.duplicates)
app.add_typer(collections.app, name="collections")
app.add_typer(model.app, name="model")
app.add_typer(backup.app, name="backup")
app.command("restore")(backup.restore)
app.add_typer(token.app, name="token")
app.add_typer(certs.app, name="certs")
app.command("doctor")(doctor.doctor)
app.command("top")(top.top)
app.command("limits")(limits.limits)
app.command("demo")(demo.demo)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"semsearch {version('semsearch')}")
        raise typer.Exit


@app.callback()
def semsearch(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    tls: encryption.IsEncrypted = False,
    tls_ca: encryption.Authorities = None,
    tls_cert: encryption.Certificate = None,
    tls_key: encryption.Key = None,
    tls_server_name: encryption.ServerName = "",
) -> None:
    """Search and tag images by meaning. Every command takes --json."""
    encryption.use(tls, tls_ca, tls_cert, tls_key, tls_server_name)


def main() -> None:
    """Run the command; print an error of the client or the server as a sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character shows its code
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SemsearchError as error:
        Output("--json" in sys.argv).fail(error)
        sys.exit(1)
    except SystemExit as ended:  # typer turns Ctrl-C into it
        if ended.code != _INTERRUPTED:
            raise
        # Exit at once: releasing the interrupted call could wait for a gRPC lock that Ctrl-C left locked.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_INTERRUPTED)
