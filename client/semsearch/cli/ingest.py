"""`semsearch ingest PLACE`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from semsearch.cli import folder_options, options
from semsearch.cli.harmless import harmless
from semsearch.cli.output import Output, counted
from semsearch.cli.progress import progress_bar
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client
from semsearch.errors import SemsearchError
from semsearch.folders.path_text import to_text
from semsearch.folders.roots import root_of
from semsearch.ingest.cluster import LOCAL, opened_ray
from semsearch.ingest.manifest import Manifest, ShardOutcome
from semsearch.ingest.places import place_of

_SECONDS_A_LINE = 60.0


def ingest(
    place: Annotated[
        str, typer.Argument(help="A folder, or one in an object store by its URL (s3://…, gs://…).", metavar="PLACE")
    ],
    manifest: Annotated[Path, typer.Option(help="The file that remembers what is done.", metavar="FILE")],
    collection: folder_options.Collection = DEFAULT_COLLECTION,
    name: folder_options.Name = "",
    exclude: folder_options.Exclude = None,
    ray: Annotated[
        str, typer.Option(metavar="local|HOST:PORT", help="Workers on this machine, or on a Ray cluster.")
    ] = LOCAL,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers; each uses one core. Default: this machine's cores.")
    ] = None,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Add millions of images from a folder or an object store, with many workers (Ray).

    The same command continues after an interruption; after the end, it sends what failed and what is new. Nothing is
    removed. For fewer images, `semsearch index` needs neither Ray nor a manifest.
    """
    output = Output(as_json)
    source = place_of(place, tuple(exclude or ()))
    root = root_of(Path(source.base_name), name, server, collection).name
    number = workers or os.cpu_count() or 1
    with Manifest(manifest, to_text(place), collection) as opened:
        with Client(server) as client:
            folder_options.ensure_collection(client, collection, output)
        if not opened.counts().left:
            output.note(f"{counted(opened.list_files(source.files()), 'file')} of {place} to send.")
        before = opened.counts()
        try:
            if before.left:
                # Ray writes what befalls its workers to standard output, which is for results.
                with redirect_stdout(sys.stderr), opened_ray(ray, number):
                    from semsearch.ingest.pipeline import Target, send_all

                    target = Target(server, collection, root)
                    _follow(send_all(opened, source, target, number), before.left, output)
        except (KeyboardInterrupt, SemsearchError):
            left = counted(opened.counts().left, "file")
            output.note(f"{left} left. What was added stays; the same command continues.")
            raise
        finally:
            report = _write_problems(opened)
        after = opened.counts()
    added, present = after.added - before.added, after.present - before.present
    if as_json:
        output.document({"added": added, "already_there": present, "failed": after.failed})
    else:
        failed = f", {after.failed:,} failed: see {report}" if after.failed else ""
        output.say(f"{added:,} added, {present:,} already there{failed}.")
    if after.failed:
        raise typer.Exit(1)


def _follow(outcomes: Iterator[ShardOutcome], total: int, output: Output) -> None:
    """Show how many files are done, how fast, and how long the rest takes: as a bar, or as lines in a log."""
    started = said = time.monotonic()
    done = 0
    with progress_bar(output.messages, disable=output.as_json) as progress:
        task = progress.add_task("files", total=total)
        for outcome in outcomes:
            done += outcome.added + outcome.present + len(outcome.problems)
            progress.update(task, completed=done)
            now = time.monotonic()
            if progress.disable and now > said + _SECONDS_A_LINE:
                rate = done / (now - started)
                left = timedelta(seconds=round((total - done) / rate))
                output.note(f"{done:,} of {total:,} files, {rate:,.0f}/s, {left} left.")
                said = now


def _write_problems(manifest: Manifest) -> Path:
    """Write the files that could not be stored, a line each with the reason; or remove the file of an earlier run."""
    report = manifest.file.with_name(manifest.file.name + ".failed.tsv")
    lines = [f"{harmless(path)}\t{harmless(why)}\n" for path, why in manifest.problems()]
    if lines:
        report.write_text("".join(lines), encoding="utf-8")
    else:
        report.unlink(missing_ok=True)
    return report
