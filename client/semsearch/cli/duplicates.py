"""`semsearch duplicates`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from semsearch.cli import options
from semsearch.cli.harmless import harmless
from semsearch.cli.output import Output, counted, place_of
from semsearch.cli.progress import progress_bar
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client
from semsearch.values import DuplicatesProgress, Image

Groups = Sequence[Sequence[Image]]


def duplicates(
    ids: Annotated[
        bool, typer.Option("--ids", help="Print only the ids of all copies but the best, for `semsearch delete`.")
    ] = False,
    collection: options.Collection = DEFAULT_COLLECTION,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """List groups of images that show the same picture in other sizes, formats or qualities, best copy first."""
    output = Output(as_json)
    last = DuplicatesProgress(0, 0)
    groups: list[Sequence[Image]] = []
    left_out = 0
    with Client(server) as client, progress_bar(output.messages, disable=as_json) as progress:
        task = progress.add_task("comparing", total=None)
        for last in client.find_duplicates(collection=collection):
            progress.update(task, completed=last.done_count, total=last.total_count)
            groups += last.groups
    if as_json:
        output.document(
            {"groups": groups, "unhashed_count": last.unhashed_count, "plain_count": last.plain_count},
        )
    elif ids:
        left_out = _print_ids(output, [image.id for group in groups for image in group[1:]])
    elif groups:
        _show(output, groups)
    _say_summary(output, last, groups)
    if left_out:
        raise typer.Exit(1)


def _print_ids(output: Output, ids: Sequence[str]) -> int:
    """Print ids, a line each, as they are; return how many had to be left out."""
    safe = [each for each in ids if harmless(each) == each]
    for each in safe:
        output.sentence(each)
    left_out = len(ids) - len(safe)
    if left_out:
        are, have = ("is", "it has") if left_out == 1 else ("are", "they have")
        output.say(
            f"{counted(left_out, 'id')} {are} left out, because {have} control characters, which would act on a "
            "terminal, or mean other images. `--json` has all ids."
        )
    return left_out


def _show(output: Output, groups: Groups) -> None:
    output.table(
        ["group ", "image", "size ", "bytes ", "id"],
        [
            [
                str(number),
                place_of(image),
                f"{image.width}×{image.height}",
                f"{image.size_bytes:,}",
                output.id_of(image),
            ]
            for number, group in enumerate(groups, 1)
            for image in group
        ],
    )


def _say_summary(output: Output, last: DuplicatesProgress, groups: Groups) -> None:
    copies = [image for group in groups for image in group[1:]]
    if groups:
        size = sum(image.size_bytes for image in copies)
        output.note(
            f"{counted(len(groups), 'group')}. Besides the best of each: {counted(len(copies), 'image')}, "
            f"{size:,} bytes."
        )
    else:
        output.note("No two images show the same picture.")
    if last.unhashed_count:
        output.note(
            f"Not compared: {counted(last.unhashed_count, 'image')} that an earlier version added, without a "
            "perceptual hash. Delete them and index them again to compare them too."
        )
    if last.plain_count:
        output.note(f"Not compared: {counted(last.plain_count, 'image')} with almost no contrast, such as one colour.")
