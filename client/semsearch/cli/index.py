"""`semsearch index DIR` and `semsearch sync DIR`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from semsearch.cli import folder_options, options
from semsearch.cli.folder_report import FolderReport
from semsearch.cli.output import Output, counted
from semsearch.cli.waiting import DEFAULT_PATIENCE, Patience
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER
from semsearch.errors import AccessDenied, SemsearchError
from semsearch.folders.results import Outcome
from semsearch.folders.sync import MayRemove


def index(
    folder: folder_options.Folder,
    collection: folder_options.Collection = DEFAULT_COLLECTION,
    name: folder_options.Name = "",
    exclude: folder_options.Exclude = None,
    force: folder_options.Force = False,
    reference: folder_options.Reference = False,
    patience: Patience = DEFAULT_PATIENCE,
    server: options.Server = DEFAULT_SERVER,
    verbose: folder_options.Verbose = False,
    as_json: folder_options.Lines = False,
) -> None:
    """Add the images of a folder. Images already stored are skipped, so an interrupted run can be resumed."""
    output = Output(as_json)
    report = FolderReport(output, verbose=verbose)
    again = _command("index", folder, collection, name, exclude, reference=reference)
    try:
        with folder_options.opened(
            server, folder, name, collection, exclude, output, force=force, reference=reference, patience=patience
        ) as sync:
            report.follow(sync, sync.run())
    except AccessDenied:
        raise  # which would end the same command in the same way
    except (KeyboardInterrupt, SemsearchError):
        _say_how_to_resume(report, output, again)
        raise
    report.summary()
    if report.counts[Outcome.FAILED]:
        raise typer.Exit(1)


def sync(
    folder: folder_options.Folder,
    collection: folder_options.Collection = DEFAULT_COLLECTION,
    name: folder_options.Name = "",
    exclude: folder_options.Exclude = None,
    delete: folder_options.Delete = False,
    force: folder_options.Force = False,
    reference: folder_options.Reference = False,
    patience: Patience = DEFAULT_PATIENCE,
    server: options.Server = DEFAULT_SERVER,
    verbose: folder_options.Verbose = False,
    as_json: folder_options.Lines = False,
) -> None:
    """Bring a collection in step with a folder: add, move and replace images, and remove those whose files are gone.

    Images whose files are gone are removed after asking, or with --delete. If the folder is empty or lacks more than
    half of its images, nothing is changed.
    """
    output = Output(as_json)
    report = FolderReport(output, verbose=verbose)
    again = _command("sync", folder, collection, name, exclude, reference=reference)

    def ask(images: int) -> bool:
        if as_json or not (sys.stdin.isatty() and output.messages.is_terminal):
            return False
        report.progress.stop()
        question = (
            f"{counted(images, 'image')} of {collection} {'has' if images == 1 else 'have'} no file any more. Remove?"
        )
        return typer.confirm(question, err=True)

    may_remove: MayRemove = (lambda _: True) if delete else ask
    try:
        with folder_options.opened(
            server, folder, name, collection, exclude, output, force=force, reference=reference, patience=patience
        ) as folder_sync:
            report.follow(folder_sync, folder_sync.run(may_remove))
    except AccessDenied:
        raise  # which would end the same command in the same way
    except (KeyboardInterrupt, SemsearchError):
        _say_how_to_resume(report, output, again)
        raise
    report.summary()
    if report.counts[Outcome.GONE] and not as_json:
        output.say(f"To remove the images whose files are gone: {again} --delete")
    if report.counts[Outcome.FAILED]:
        raise typer.Exit(1)


def _say_how_to_resume(report: FolderReport, output: Output, again: str) -> None:
    done = report.counts
    if any(done[outcome] for outcome in Outcome if outcome is not Outcome.PASSED_OVER):
        output.say(f"{report.sentence()} What was added stays; resume with: {again}")


def _command(
    name: str, folder: Path, collection: str, root: str, exclude: Sequence[str] | None, *, reference: bool
) -> str:
    """Return the command line that does the same once more."""
    given = ["--name", root] if root else []
    for glob in exclude or ():
        given += ["--exclude", glob]
    if reference:
        given.append("--reference")
    return shlex.join(["semsearch", name, str(folder), "--collection", collection, *given])
