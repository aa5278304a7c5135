"""`semsearch backup`, with `list`, `verify` and `prune`, and `semsearch restore`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from semsearch import Client
from semsearch.cli import options
from semsearch.cli.default_command import WithDefault
from semsearch.cli.output import Output, counted
from semsearch.cli.progress import progress_bar
from semsearch.client import DEFAULT_SERVER
from semsearch.errors import ServerNotReady, ServerUnreachable
from semsearch.values.backups import Backup, BackupCheck, BackupProgress

# A gateway that starts again is waited for.
_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 1.0
_PLACE = "PLACE"


class _Group(WithDefault):
    default = _PLACE


app = typer.Typer(
    cls=_Group,
    help="Back up everything: `semsearch backup [PLACE]` (`semsearch backup PLACE --help` has its options). PLACE is a"
    " name below the place that the gateway's setting SEMSEARCH_GATEWAY_BACKUPS names. Write ./list for a place with"
    " the name of a command.",
    subcommand_metavar="[PLACE] | COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Place = Annotated[
    str,
    typer.Argument(
        help="A name below the gateway's place for backups, or that place itself (the default).", metavar="[PLACE]"
    ),
]
BackupId = Annotated[str, typer.Option("--backup", help="The backup's id; default: the newest.", metavar="ID")]
ProgressJson = Annotated[bool, typer.Option("--json", help="Print a line of JSON at each step.")]


@app.command(_PLACE, hidden=True)
def backup(place: Place = "", server: options.Server = DEFAULT_SERVER, as_json: ProgressJson = False) -> None:
    """Back up images, collections, models and the choice of the model, while searches and writes continue."""
    output = Output(as_json)
    again = shlex.join(["semsearch", "backup", *([place] if place else [])])
    began = time.monotonic()
    try:
        with Client(server) as client:
            last = _followed(output, "backing up", lambda: client.create_backup(place))
    except KeyboardInterrupt:
        output.say(f"Interrupted; there is no new backup. What was copied stays: go on with: {again}")
        raise
    if last.backup and not as_json:
        output.say(
            f"Backup {last.backup.id}: {_described(last.backup)}. {_size(last.bytes_copied)} copied in "
            f"{time.monotonic() - began:,.0f} s; the rest was there."
        )
    if last.backup and last.backup.missing_image_count:
        output.note(
            f"{counted(last.backup.missing_image_count, 'image')} lacked a file in the suite; the gateway's log names "
            "them, and the backup lacks these files too."
        )


@app.command("list")
def list_backups(place: Place = "", server: options.Server = DEFAULT_SERVER, as_json: options.Json = False) -> None:
    """List the backups in a place, newest first."""
    output = Output(as_json)
    with Client(server) as client:
        found = client.list_backups(place)
    if as_json:
        output.document(found)
        return
    if found:
        output.table(
            ["id", "images ", "size ", "collections", "model"],
            [
                [
                    each.id,
                    f"{each.image_count:,}",
                    _size(each.size_bytes),
                    " ".join(each.collections),
                    each.active_model,
                ]
                for each in found
                if not each.problem
            ],
        )
    for each in found:
        if each.problem:
            output.say(f"{each.id}: {each.problem}")
    output.say(f"{counted(len(found), 'backup')}.")


@app.command()
def verify(
    place: Place = "", backup_id: BackupId = "", server: options.Server = DEFAULT_SERVER, as_json: ProgressJson = False
) -> None:
    """Compare everything in a backup with its checksums. Exit status 1 if something is damaged."""
    output = Output(as_json)
    last: BackupCheck | None = None
    with Client(server) as client, progress_bar(output.messages, of_bytes=True, disable=as_json) as progress:
        task = progress.add_task("checking", total=None)
        for last in client.verify_backup(place, backup_id):
            if as_json:
                output.line(last)
            progress.update(task, completed=last.progress.bytes_done, total=last.progress.bytes_total or None)
    if last is None:
        return
    if not as_json:
        for damage in last.damages:
            output.say(damage)
        verdict = "damage was found" if last.damages else "all checksums are right"
        output.say(f"Backup {last.backup_id}: {verdict}; {_size(last.progress.bytes_done)} read.")
    if last.damages:
        raise typer.Exit(1)


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=1, help="Number of backups to keep.")],
    place: Place = "",
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Remove all but the newest backups, and what none of these needs."""
    output = Output(as_json)
    with Client(server) as client:
        pruned = client.prune_backups(place, keep=keep)
    if as_json:
        output.document(pruned)
    else:
        output.say(f"{counted(len(pruned.removed_ids), 'backup')} removed, {_size(pruned.freed_bytes)} freed.")


def restore(
    place: Place = "", backup_id: BackupId = "", server: options.Server = DEFAULT_SERVER, as_json: ProgressJson = False
) -> None:
    """Restore a backup into a suite without images. An interrupted restore can be resumed."""
    output = Output(as_json)
    again = ["semsearch", "restore", *([place] if place else []), *(["--backup", backup_id] if backup_id else [])]
    try:
        with Client(server) as client:
            last = _followed(output, "restoring", lambda: client.restore_backup(place, backup_id))
    except KeyboardInterrupt:
        output.say(f"Interrupted; what was restored stays. Resume with: {shlex.join(again)}")
        raise
    if last.backup and not as_json:
        output.say(f"Backup {last.backup.id} is restored: {_described(last.backup)}.")


def _followed(output: Output, text: str, call: Callable[[], Iterator[BackupProgress]]) -> BackupProgress:
    """Show the progress of a call, and repeat it if the gateway ends and starts again; return the last one."""
    last = BackupProgress("", 0, 0, 0, 0, 0)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    begun = False
    with progress_bar(output.messages, of_bytes=True, disable=output.as_json) as progress:
        task = progress.add_task(text, total=None)
        while True:
            try:
                for last in call():
                    begun = True
                    give_up = time.monotonic() + _PATIENCE_SECONDS
                    if output.as_json:
                        output.line(last)
                    progress.update(
                        task,
                        description=f"{text}: {last.stage}",
                        completed=last.bytes_done,
                        total=max(last.bytes_total, last.bytes_done) if last.stage == "images" else None,
                    )
            except (ServerUnreachable, ServerNotReady):
                if not begun or time.monotonic() > give_up:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return last


def _described(backup: Backup) -> str:
    return (
        f"{counted(backup.image_count, 'image')} in {counted(len(backup.collections), 'collection')}, "
        f"{counted(len(backup.models), 'model')}, {_size(backup.size_bytes)}, as of "
        f"{backup.create_time.astimezone():%Y-%m-%d %H:%M:%S}"
    )


def _size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
