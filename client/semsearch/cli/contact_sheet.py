"""A contact sheet for `--html`: one file that embeds the thumbnails and needs no network, script or other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from semsearch.cli.harmless import harmless
from semsearch.cli.output import attributes_of, place_of
from semsearch.cli.thumbnails import thumbnails
from semsearch.client import Client
from semsearch.errors import InvalidRequest
from semsearch.values import ImageMatch

# The policy keeps a browser from fetching or running anything, whatever names and attributes contain.
_HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color-scheme: light dark }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 1.5rem }}
figure {{ margin: 0 }}
img {{ width: 100%; height: 200px; object-fit: contain; background: #8882 }}
figcaption, small {{ overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
<main>
"""


def write_contact_sheet(file: Path, title: str, client: Client, matches: Sequence[ImageMatch], first: int) -> None:
    """Write matches to a file; an existing one is replaced.

    Raises:
        InvalidRequest: the file cannot be written.
    """
    images = [match.image for match in matches]
    figures = [
        _figure(number, match, content)
        for number, (match, content) in enumerate(zip(matches, thumbnails(client, images), strict=True), first)
    ]
    try:
        file.write_text(_HEAD.format(title=_text(title)) + "".join(figures) + "</main>\n</html>\n", encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be written: {error.strerror}.") from error


def _figure(number: int, match: ImageMatch, content: bytes | None) -> str:
    name = _text(place_of(match.image))
    source = "" if content is None else f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    return (
        f'<figure><img src="{source}" alt="{name}" title="{_text(match.image.id)}">'
        f"<figcaption>{number}. {name} <b>{match.relevance:.3f}</b>"
        f"<br><small>{_text(attributes_of(match.image))}</small></figcaption></figure>\n"
    )


def _text(text: str) -> str:
    return html.escape(harmless(text))
