"""The commands `python -m trainer words fetch | convert`.

Contract: the same as `trainer.cli`'s, which adds these commands. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.console import download_bar, progress_bar, report_errors

app = typer.Typer(help="Word vectors: fetched by name, converted into a vocabulary.", no_args_is_help=True)
console = Console(soft_wrap=True)


@app.command()
@report_errors
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="GloVe or word2vec (text or binary) or fastText's .vec, plain, in gzip or zip.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for words.txt and words.npy.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Keep only the first, most frequent words.")] = None,
    lowercase: Annotated[
        bool, typer.Option("--lowercase", help="Write words in lower case; of equal ones the first stays.")
    ] = False,
    member: Annotated[str | None, typer.Option(help="Which file of a zip, such as glove.6B.300d.txt.")] = None,
) -> None:
    """Convert word vectors into a vocabulary."""
    from trainer.words.word_space import check_dimension, convert_words

    with progress_bar(Console(stderr=True)) as progress:
        task = progress.add_task("words", total=limit, note="")
        count = convert_words(
            source,
            out,
            limit,
            lowercase=lowercase,
            member=member,
            on_progress=lambda done: progress.update(task, completed=done),
            check=lambda dimension: check_dimension(dimension, source),
        )
        progress.update(task, total=count)
    console.print(f"{count:,} words in {out}")


@app.command()
@report_errors
def fetch(
    name: Annotated[str, typer.Argument(help="Such as glove.6B.300d; an unknown name lists the known ones.")],
    out: Annotated[
        Path, typer.Option(help="Folder of the file; a file that exists there is not fetched again.")
    ] = Path("var/cache"),
    mirror: Annotated[
        str,
        typer.Option(
            envvar="SEMSEARCH_WORDS_MIRROR",
            help="A folder or URL (http, https, file) that has the file under its own name.",
        ),
    ] = "",
) -> None:
    """Fetch word vectors from their publisher, resuming an interrupted fetch, and check them."""
    from trainer.words.fetching import fetch as fetch_file
    from trainer.words.fetching import known_file

    known = known_file(name)
    with download_bar(Console(stderr=True)) as progress:
        task = progress.add_task(name, total=None)
        fetched = fetch_file(known, out, mirror, lambda done, total: progress.update(task, completed=done, total=total))
        size = fetched.path.stat().st_size
        progress.update(task, completed=size, total=size)
    if fetched.checked:
        console.print(f"{fetched.path} has the known SHA-256.")
    else:
        console.print(
            f"{fetched.path} was not checked, since its checksum is not known. Its SHA-256 is {fetched.sha256}; "
            f"this is written to a file next to it, and later fetches check against it."
        )
    member = f" --member {known.member}" if known.member else ""
    console.print(f"Next: python -m trainer words convert {fetched.path}{member} --out words")
