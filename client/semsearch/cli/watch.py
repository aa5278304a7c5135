"""`semsearch watch DIR`."""

from __future__ import annotations

from typing import Annotated

import typer

from semsearch.cli import folder_options, options
from semsearch.cli.folder_report import FolderReport
from semsearch.cli.output import Output
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER
from semsearch.folders.watch import FolderWatch
from semsearch.folders.watching import changes


def watch(
    folder: folder_options.Folder,
    collection: folder_options.Collection = DEFAULT_COLLECTION,
    name: folder_options.Name = "",
    exclude: folder_options.Exclude = None,
    reference: folder_options.Reference = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove images whose files are gone.")] = False,
    poll: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Scan the folder at this interval; 0: when it changes."),
    ] = 0,
    server: options.Server = DEFAULT_SERVER,
    verbose: folder_options.Verbose = False,
    as_json: folder_options.Lines = False,
) -> None:
    """Keep a collection in step with a folder until Ctrl-C. If the server is down, wait for it."""
    output = Output(as_json)
    report = FolderReport(output, verbose=verbose)
    try:
        with folder_options.opened(server, folder, name, collection, exclude, output, reference=reference) as sync:
            output.say(f"Watching {sync.root.folder} for {collection}; Ctrl-C ends it.")
            keeping = FolderWatch(sync, output.say, (lambda _: True) if delete else None)
            for result in keeping.run(changes(sync.root.folder, poll, output.say)):
                report.name(result)
    except KeyboardInterrupt:
        output.say(f"Stopped. {report.sentence(rate=False)}")
        raise
