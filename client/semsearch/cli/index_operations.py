"""`semsearch index list`, `check`, `rebuild`, `export` and `import`, beside `semsearch index DIR`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from semsearch import export_file
from semsearch.cli import addresses, index, options
from semsearch.cli.default_command import WithDefault
from semsearch.cli.output import Output, counted
from semsearch.cli.progress import progress_bar
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index_operations import DEFAULT_INDEX_ADDRESS, IndexOperations
from semsearch.values.indexes import CheckReport, Progress

# The name of the group's default command. A user's argument never selects it.
_FOLDER = "DIR"


class EngineName(StrEnum):
    """How an index is searched, and where it is kept."""

    ANNOY = "annoy"
    EXACT = "exact"
    HNSW = "hnsw"
    WEAVIATE = "weaviate"


class FolderOrCommand(WithDefault):
    """A group of commands that takes any other argument for the folder, or an option, of `semsearch index DIR`."""

    default = _FOLDER


app = typer.Typer(
    cls=FolderOrCommand,
    help="Add the images of a folder: `semsearch index DIR` (`semsearch index DIR --help` has its options)."
    " The commands are for operators and call the index service directly. Write ./check for a folder with the name of"
    " a command.",
    no_args_is_help=True,
    subcommand_metavar="DIR | COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(_FOLDER, hidden=True)(index.index)

Address = addresses.IndexAddress
Name = Annotated[str, typer.Argument(help="The index's name, or an alias.", metavar="NAME")]


@app.command("list")
def list_indexes(address: Address = DEFAULT_INDEX_ADDRESS, as_json: options.Json = False) -> None:
    """List the indexes, with damage that is not repaired yet."""
    output = Output(as_json)
    with IndexOperations(address) as service:
        found = list(service.list_indexes())
    if as_json:
        output.document(found)
        return
    if found:
        output.table(
            ["name", "aliases", "items ", "segments ", "bytes ", "model", "repairs"],
            [
                [
                    each.name,
                    " ".join(each.aliases),
                    f"{each.item_count:,}",
                    f"{each.segment_count:,}",
                    f"{each.disk_bytes:,}",
                    each.model_id,
                    "; ".join(each.repairs),
                ]
                for each in found
            ],
        )
    output.say(f"{counted(len(found), 'index', 'es')}.")


@app.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or aliases of indexes; default: all.", metavar="NAME")
    ] = None,
    address: Address = DEFAULT_INDEX_ADDRESS,
    as_json: options.Json = False,
) -> None:
    """Check all data of indexes for damage; searches continue. Exit status 1 if any is found."""
    output = Output(as_json)
    with IndexOperations(address) as service:
        chosen = names or [each.name for each in service.list_indexes()]
        reports = [_checked(service, name, output) for name in chosen]
    if as_json:
        output.document(reports)
    rows = [[report.name, damage.part, damage.problem] for report in reports for damage in report.damages]
    if rows and not as_json:
        output.table(["index", "part", "problem"], rows)
    if not as_json:
        for report in reports:
            output.say(_verdict(report))
    if rows:
        raise typer.Exit(1)


@app.command()
def rebuild(
    name: Name,
    address: Address = DEFAULT_INDEX_ADDRESS,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON at each step.")] = False,
) -> None:
    """Rebuild all segments of an index from its store; searches and writes continue."""
    output = Output(as_json)
    last = Progress(0, 0)
    try:
        with IndexOperations(address) as service, progress_bar(output.messages, disable=as_json) as progress:
            task = progress.add_task("rebuilding", total=None)
            for last in service.rebuild_index(name):
                if as_json:
                    output.line(last)
                progress.update(task, completed=last.done, total=last.total)
    except KeyboardInterrupt:
        output.say("The rebuild continues in the service.")
        raise
    if not as_json:
        output.say(f"{name} was rebuilt: {counted(last.total, 'item')}.")


@app.command("export")
def export_index(
    name: Name,
    file: Annotated[
        Path,
        typer.Argument(help="The file to write; an existing one is replaced.", dir_okay=False, metavar="FILE"),
    ],
    address: Address = DEFAULT_INDEX_ADDRESS,
    as_json: options.Json = False,
) -> None:
    """Write a snapshot of an index to a file. The file appears only when it is complete."""
    output = Output(as_json)
    count = 0
    with (
        IndexOperations(address) as service,
        export_file.new_file(file) as opened,
        progress_bar(output.messages, disable=as_json) as progress,
    ):
        writer = export_file.ExportWriter(opened)
        for piece in _shown(service.export_index(name), progress, f"exporting {name}"):
            writer.write(piece)
            count += len(piece.items.items)
    size = file.stat().st_size
    if as_json:
        output.document({"name": name, "file": str(file), "item_count": count, "size_bytes": size})
    else:
        output.say(f"{file} has {counted(count, 'item')} of {name}, {size:,} bytes.")


@app.command("import")
def import_index(
    file: Annotated[Path, typer.Argument(help="A file that `export` wrote.", metavar="FILE")],
    name: Annotated[str, typer.Argument(help="The new index's name.", metavar="NAME")],
    engine: Annotated[
        EngineName | None, typer.Option(help="The new index's engine; that of the exported index if not given.")
    ] = None,
    address: Address = DEFAULT_INDEX_ADDRESS,
    as_json: options.Json = False,
) -> None:
    """Create an index from an export file. An import that fails or is interrupted leaves nothing behind."""
    output = Output(as_json)
    with IndexOperations(address) as service, progress_bar(output.messages, disable=as_json) as progress:
        pieces = _shown(export_file.read(file), progress, f"importing {name}")
        made = service.import_index(name, pieces, engine=engine.value if engine else "")
    if as_json:
        output.document(made)
    else:
        output.say(f"{made.name} has {counted(made.item_count, 'item')} of {made.model_id}.")


def _checked(service: IndexOperations, name: str, output: Output) -> CheckReport:
    report = CheckReport(name, 0, 0, ())
    with progress_bar(output.messages, disable=output.as_json) as progress:
        task = progress.add_task(f"checking {name}", total=None)
        for step in service.check_index(name):
            if isinstance(step, CheckReport):
                report = step
            else:
                progress.update(task, completed=step.done, total=step.total)
    return report


def _verdict(report: CheckReport) -> str:
    """Return the result of a check as sentences, with advice."""
    if not report.damages:
        items, segments = counted(report.item_count, "item"), counted(report.segment_count, "segment")
        return f"{report.name}: no damage in {items} and {segments}."
    sentence = f"{report.name}: damage was found in {', '.join(dict.fromkeys(each.part for each in report.damages))}."
    if all(each.rebuild_repairs for each in report.damages):
        return f"{sentence} Repair it with: {shlex.join(['semsearch', 'index', 'rebuild', report.name])}"
    return (
        f"{sentence} A rebuild cannot repair this, because the store itself is damaged. Stop the index service and "
        "restore the index's folder from a copy, import an export, or delete the index and add its images again."
    )


def _shown(pieces: Iterable[pb.ExportPiece], progress: Any, text: str) -> Iterator[pb.ExportPiece]:
    """Yield pieces, and show the number of items so far."""
    task = progress.add_task(text, total=None)
    for piece in pieces:
        if piece.HasField("header"):
            progress.update(task, total=piece.header.item_count)
        yield piece
        progress.advance(task, len(piece.items.items))
