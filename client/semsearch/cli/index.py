"""`semsearch index`."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from semsearch.cli import options
from semsearch.cli.output import Output
from semsearch.cli.progress import progress_bar
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client
from semsearch.errors import AlreadyExists, NotFound, SemsearchError
from semsearch.folder import LocalFile, scan
from semsearch.folder_index import FileResult, FolderIndex, Outcome, unreadable_result


def index(
    folder: Annotated[
        Path, typer.Argument(help="The folder, with all below it.", exists=True, file_okay=False, metavar="DIR")
    ],
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Where the images go; it is created if needed.")
    ] = DEFAULT_COLLECTION,
    server: options.Server = DEFAULT_SERVER,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each file.")] = False,
) -> None:
    """Add the images of a folder. Images that are there already are skipped, so an interrupted run can be continued."""
    output = Output(as_json)
    run = _Run(output)
    started = time.monotonic()
    try:
        with Client(server) as client:
            _ensure_collection(client, collection, output)
            run.index(FolderIndex(client, collection), folder)
    except (KeyboardInterrupt, SemsearchError):
        if run.seen:
            again = shlex.join(["semsearch", "index", str(folder), "--collection", collection])
            output.say(f"{run.summary(started)} What was added stays; go on with: {again}")
        raise
    if as_json:
        output.line({"summary": {outcome.value: run.counts[outcome] for outcome in Outcome}})
    else:
        output.say(run.summary(started))
    if run.counts[Outcome.FAILED]:
        raise typer.Exit(1)


class _Run:
    """One run: shows its progress, prints failures, and counts outcomes."""

    def __init__(self, output: Output) -> None:
        self.counts: Counter[Outcome] = Counter()
        self.seen = False
        self._output = output

    def index(self, index: FolderIndex, folder: Path) -> None:
        """Compare the folder with the collection, then send what is new."""
        files, unreadable = scan(folder)
        self.seen = bool(files)
        for entry in unreadable:
            self._count(unreadable_result(entry))
        new: list[LocalFile] = []
        with progress_bar(self._output.messages, disable=self._output.as_json) as progress:
            comparing = progress.add_task("comparing", total=len(files))
            for file, result in index.find_new(files):
                progress.advance(comparing)
                if result is None:
                    new.append(file)
                else:
                    self._count(result)
            progress.remove_task(comparing)
            if new:
                indexing = progress.add_task("indexing", total=len(new))
                for result in index.send(new):
                    self._count(result)
                    progress.advance(indexing)

    def summary(self, started: float) -> str:
        """Return the counts as a sentence."""
        seconds = time.monotonic() - started
        added = self.counts[Outcome.ADDED]
        parts = [f"{added:,} added"]
        if added:
            parts[0] += f" in {seconds:.1f} s ({added / seconds:.1f} images/s)"
        parts += [f"{self.counts[outcome]:,} {text}" for outcome, text in _OTHERS.items() if self.counts[outcome]]
        return ", ".join(parts) + "."

    def _count(self, result: FileResult) -> None:
        self.counts[result.outcome] += 1
        if self._output.as_json:
            self._output.line(result)
        elif result.outcome is Outcome.FAILED:
            self._output.say(f"{result.path}: {result.problem} ({result.reason})")


_OTHERS = {
    Outcome.UNCHANGED: "already there",
    Outcome.DUPLICATE: "with the same bytes as another",
    Outcome.FAILED: "failed",
}


def _ensure_collection(client: Client, collection: str, output: Output) -> None:
    try:
        client.get_collection(collection)
    except NotFound:
        try:
            client.create_collection(collection)
        except AlreadyExists:
            return  # created by someone else meanwhile
        output.say(f"Created the collection {collection}.")
