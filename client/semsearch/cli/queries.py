"""`semsearch search`, `tag` and `words`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from semsearch.cli import last_search, options
from semsearch.cli.contact_sheet import write_contact_sheet
from semsearch.cli.last_search import LastSearch
from semsearch.cli.nothing_found import why_no_match
from semsearch.cli.output import Output, attributes_of, counted, place_of
from semsearch.cli.pictures import Pictures
from semsearch.cli.query_errors import query_errors
from semsearch.cli.query_line import Picture, QueryError, QueryLine, read_query
from semsearch.cli.searches import ImageSearch, read, up_to
from semsearch.client import DEFAULT_COLLECTION, DEFAULT_SERVER, Client
from semsearch.errors import InvalidRequest
from semsearch.values import ImageMatches, Tags

Count = Annotated[int, typer.Option("-n", "--count", min=1, help="Maximum number of results.")]
PageToken = Annotated[
    str,
    typer.Option(
        help="Continue after another search: its next_page_token in JSON, or `next` for the last search here.",
        metavar="TOKEN",
    ),
]


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help='The query: words (cat sofa, "sports car", -dog, beach^0.5, dog NOT cat) and images'
            " (./beach.jpg, id:3f9a…), with + and - between them and a weight before them:"
            ' dog + ./beach.jpg - fruit "2:sofa".'
        ),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Search with this image file; words are added to it.", dir_okay=False)
    ] = None,
    image_id: Annotated[
        str | None, typer.Option("--id", help="Search with a stored image; words are added to it.")
    ] = None,
    count: Count = 20,
    page_token: PageToken = "",
    min_relevance: options.MinRelevance = None,
    distinct: Annotated[bool, typer.Option("--distinct", help="Show each picture once, not its copies.")] = False,
    filters: options.Filters = None,
    taken: options.Taken = "",
    show: Annotated[bool, typer.Option("--show", help="Show the pictures in the terminal.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the pictures to this file, for a browser.", dir_okay=False, metavar="FILE"),
    ] = None,
    collection: options.Collection = DEFAULT_COLLECTION,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Find images by words, images, or both. `semsearch open 3` then opens the third result."""
    if image is None and image_id is None and not words:
        raise typer.BadParameter("Say what to look for: words, or images as ./beach.jpg or id:3f9a….")
    output = Output(as_json)
    pictures = Pictures(output) if show else None
    arguments = options.arguments_of(words)
    with query_errors(output, arguments) as errors, Client(server) as client:
        line = _with_options(read_query(arguments), image, image_id)
        errors.line = line
        found_by = ImageSearch(client, line, collection, options.equal_of(filters), taken, distinct)
        token, first = _start(page_token)
        found = up_to(count, token, lambda size, token: found_by.page(size, token, min_relevance))
        _remember(found, server, collection, first)
        output.understood(found.understood, line.text)
        output.unknown_words(found.unknown_words)
        if as_json:
            output.document(found)
        elif found.matches:
            _show_matches(output, found, first)
        elif token:
            output.say("There are no more.")
        else:
            output.say(
                why_no_match(
                    client, collection, found_by.equal, taken, min_relevance, lambda: found_by.page(1, "", 0.0)
                )
            )
        if pictures and not as_json:
            pictures.show(client, found.matches, first)
        if html:
            write_contact_sheet(html, " ".join(arguments) or "semsearch", client, found.matches, first)
            output.note(f"{html} has {counted(len(found.matches), 'picture')}.")
    if found.next_page_token and found.matches:
        output.note("There are more: the same command with --page-token next.")


def _with_options(line: QueryLine, image: Path | None, image_id: str | None) -> QueryLine:
    """Return the query with the images from options before its own."""
    named = [Picture(image, "")] if image is not None else []
    named += [Picture(None, image_id)] if image_id is not None else []
    return replace(line, pictures=(*named, *line.pictures))


def _start(page_token: str) -> tuple[str, int]:
    """Return the token of the first page, and the number of its first result.

    Raises:
        InvalidRequest: the last search has no further page.
    """
    if page_token != last_search.NEXT:
        return page_token, 1
    last = last_search.recall()
    if last is None or not last.next_page_token:
        raise InvalidRequest("The last search has no further page.", hint="Search again without --page-token.")
    return last.next_page_token, last.first + len(last.ids)


def _remember(found: ImageMatches, server: str, collection: str, first: int) -> None:
    ids = tuple(match.image.id for match in found.matches)
    last_search.remember(LastSearch(server, collection, ids, first, found.next_page_token))


def _show_matches(output: Output, found: ImageMatches, first: int) -> None:
    output.table(
        ["# ", "relevance ", "similarity ", "image", "attributes", "id"],
        [
            [
                str(number),
                f"{match.relevance:.3f}",
                f"{match.similarity:.3f}",
                place_of(match.image),
                attributes_of(match.image),
                output.id_of(match.image),
            ]
            for number, match in enumerate(found.matches, first)
        ],
    )


def tag(
    files: Annotated[list[Path], typer.Argument(help="Image files.")],
    labels: Annotated[
        str | None, typer.Option(help="Choose among these words only, separated by commas.", metavar="A,B,C")
    ] = None,
    count: Annotated[
        int, typer.Option("-n", "--count", min=1, max=100, help="Maximum number of words per image.")
    ] = 10,
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
    """Add the file's name to the server's errors about its bytes."""
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
            output.say(f"{file}: no word is relevant enough. --min-relevance 0 shows the nearest anyway.")


def similar_words(
    words: Annotated[list[str], typer.Argument(help="A word, a phrase or several: king -man woman.")],
    count: Count = 20,
    page_token: Annotated[
        str, typer.Option(help="Continue after another search: its next_page_token in JSON.", metavar="TOKEN")
    ] = "",
    server: options.Server = DEFAULT_SERVER,
    as_json: options.Json = False,
) -> None:
    """Find the words nearest to words."""
    output = Output(as_json)
    arguments = options.arguments_of(words)
    with query_errors(output, arguments) as errors, Client(server) as client:
        line = errors.line = read_query(arguments)
        if line.pictures:
            raise QueryError(
                "This compares words only: `semsearch tag` names what an image shows.", line.pictures[0].place
            )
        found = up_to(
            count, page_token, lambda size, token: client.similar_words(line.text, page_size=size, page_token=token)
        )
    output.understood(found.understood, line.text)
    output.unknown_words(found.unknown_words)
    if as_json:
        output.document(found)
    elif found.words:
        output.table(["similarity ", "word"], [[f"{each.similarity:.3f}", each.word] for each in found.words])
    else:
        output.say("There is no other word.")
