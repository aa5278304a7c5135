"""`semsearch search`, `tag` and `words`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from semsearch.cli import options
from semsearch.cli.output import Output, attributes_of, place_of
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client
from semsearch.errors import InvalidRequest
from semsearch.values import ImageMatches, Tags

Count = Annotated[int, typer.Option("-n", "--count", min=1, max=1_000, help="How many at most.")]


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help='What to look for: cat sofa, "sports car", -dog, beach^0.5, dog NOT cat.')
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Search with this image file; words are added to it.", dir_okay=False)
    ] = None,
    image_id: Annotated[
        str | None, typer.Option("--id", help="Search with a stored image; words are added to it.")
    ] = None,
    count: Count = 20,
    min_relevance: options.MinRelevance = None,
    filters: options.Filters = None,
    collection: options.Collection = DEFAULT_COLLECTION,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Find images by words, by an image, or by both."""
    if image is not None and image_id is not None:
        raise typer.BadParameter("Give --image or --id, not both.")
    if image is None and image_id is None and not words:
        raise typer.BadParameter("Say what to look for: words, --image or --id.")
    output = Output(as_json)
    equal = options.equal_of(filters)
    with Client(server) as client:
        source = image_id if image is None else read(image)
        if source is None:
            found = client.search_by_text(
                options.query_of(words or ()),
                collection=collection,
                page_size=count,
                min_relevance=min_relevance,
                equal=equal,
            )
        else:
            found = client.search_by_image(
                source,
                terms=options.terms_of(words or ()),
                collection=collection,
                page_size=count,
                min_relevance=min_relevance,
                equal=equal,
            )
    output.understood(found.understood, options.query_of(words or ()))
    show_matches(output, found)


def read(file: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        InvalidRequest: the file cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from error


def show_matches(output: Output, found: ImageMatches) -> None:
    """Print matches, or that there is none."""
    output.unknown_words(found.unknown_words)
    if output.as_json:
        output.document(found)
    elif found.matches:
        output.table(
            ["relevance ", "similarity ", "image", "attributes", "id"],
            [
                [
                    f"{match.relevance:.3f}",
                    f"{match.similarity:.3f}",
                    place_of(match.image),
                    attributes_of(match.image),
                    match.image.id,
                ]
                for match in found.matches
            ],
        )
    else:
        output.say("No image is relevant enough. --min-relevance 0 shows the nearest all the same.")


def tag(
    files: Annotated[list[Path], typer.Argument(help="Image files.")],
    labels: Annotated[
        str | None, typer.Option(help="Choose among these words only, separated by commas.", metavar="A,B,C")
    ] = None,
    count: Count = 10,
    min_relevance: options.MinRelevance = None,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Name what images show."""
    output = Output(as_json)
    choice = [label.strip() for label in (labels or "").split(",") if label.strip()]
    results: list[tuple[Path, Tags]] = []
    refused = False
    with Client(server) as client:
        for file in files:
            try:
                content = read(file)
                with _about(file):
                    tags = client.tag_image(content, labels=choice, max_tags=count, min_relevance=min_relevance)
            except InvalidRequest as error:
                refused = True
                output.fail(error)
                continue
            if not results:
                output.unknown_words(tags.unknown_words)
            results.append((file, tags))
    if as_json:
        for file, tags in results:
            output.line({"file": str(file), "tags": tags.tags})
    else:
        _show_tags(output, results)
    if refused:
        raise typer.Exit(1)


@contextmanager
def _about(file: Path) -> Iterator[None]:
    """Name the file in the server's errors about its bytes."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(f"{file}: {error.message}", error.details, error.hint) from error


def _show_tags(output: Output, results: list[tuple[Path, Tags]]) -> None:
    rows = [
        [file.name, tag.word, f"{tag.relevance:.3f}", f"{tag.similarity:.3f}"]
        for file, tags in results
        for tag in tags.tags
    ]
    if rows:
        output.table(["file", "word", "relevance ", "similarity "], rows)
    for file, tags in results:
        if not tags.tags:
            output.say(f"{file}: no word is relevant enough. --min-relevance 0 shows the nearest all the same.")


def similar_words(
    words: Annotated[list[str], typer.Argument(help="A word, a phrase or several: king -man woman.")],
    count: Count = 20,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Find the words nearest to words."""
    output = Output(as_json)
    with Client(server) as client:
        found = client.similar_words(options.query_of(words), page_size=count)
    output.understood(found.understood, options.query_of(words))
    output.unknown_words(found.unknown_words)
    if as_json:
        output.document(found)
    elif found.words:
        output.table(["similarity ", "word"], [[f"{each.similarity:.3f}", each.word] for each in found.words])
    else:
        output.say("There is no other word.")
