"""How notebooks draw values: HTML with thumbnails inside it, which needs no other file.

Text from the server and from photos is escaped. Thumbnails are fetched when a value is drawn, by a connection of their
own: the client may be closed by then, or live in the notebook's event loop.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import escape
from typing import Any

from semsearch.api.gallery import GalleryMethods
from semsearch.errors import SemsearchError
from semsearch.transport.blocking import BlockingConnection
from semsearch.transport.retries import Retries
from semsearch.transport.server import Server
from semsearch.values import Image, ImageMatch, ImageMatches, Tags, UnknownWord, WordMatches

# A page of a thousand matches would make a notebook of ten megabytes.
MOST_PICTURES = 60
_SECONDS = 5.0
_AT_ONCE = 8
_TILE = "display:inline-block;width:160px;margin:4px;vertical-align:top;font-size:12px;overflow-wrap:anywhere"
_PICTURE = "width:160px;height:120px;object-fit:contain;background:#8882"


class _Thumbnails(GalleryMethods, BlockingConnection):
    """The connection that fetches thumbnails."""


def html_of(value: object, server: Server | None) -> str:
    """Return the HTML of one of the client's values."""
    return _DRAWN[type(value)](value, server)


def thumbnails(server: Server | None, images: Sequence[Image]) -> list[bytes]:
    """Return the thumbnails of images, b"" for each that cannot be fetched."""
    if server is None:
        return [b""] * len(images)
    own = _Thumbnails(replace(server, timeout=_SECONDS, retries=Retries(attempts=1)))

    def fetch(image: Image) -> bytes:
        try:
            return own.download_image(image.id, collection=image.collection, thumbnail=True)
        except SemsearchError:
            return b""

    with own, ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(fetch, images))


def _matches(found: ImageMatches, server: Server | None) -> str:
    shown = found.matches[:MOST_PICTURES]
    pictures = thumbnails(server, [match.image for match in shown])
    captions = [f"<b>{match.relevance:.3f}</b> {_name(match.image)}" for match in shown]
    tiles = map(_tile, [match.image for match in shown], pictures, captions)
    notes = [*_unknown(found.unknown_words)]
    if len(found.matches) > len(shown):
        notes.append(f"{len(found.matches) - len(shown):,} more on this page.")
    if found.next_page_token:
        notes.append("There are more pages: <code>client.pages(found)</code>.")
    return f"<div>{''.join(tiles) or 'Nothing is relevant enough.'}</div>{_notes(notes)}"


def _match(match: ImageMatch, server: Server | None) -> str:
    [picture] = thumbnails(server, [match.image])
    return _tile(match.image, picture, f"<b>{match.relevance:.3f}</b> {_name(match.image)}")


def _image(image: Image, server: Server | None) -> str:
    [picture] = thumbnails(server, [image])
    facts = [f"{image.width} × {image.height}", image.taken_time, image.camera]
    lines = [_name(image), *(escape(fact) for fact in facts if fact)]
    own = (f"{escape(name)}: {escape(str(value))}" for name, value in sorted(image.attributes.items()))
    return _tile(image, picture, "<br>".join([*lines, *own]))


def _tags(found: Tags, _: Server | None) -> str:
    rows = ((tag.word, f"{tag.relevance:.3f}", f"{tag.similarity:.3f}") for tag in found.tags)
    return _table(("word", "relevance", "similarity"), rows) + _notes(_unknown(found.unknown_words))


def _words(found: WordMatches, _: Server | None) -> str:
    rows = ((match.word, f"{match.similarity:.3f}") for match in found.words)
    return _table(("word", "similarity"), rows) + _notes(_unknown(found.unknown_words))


def _tile(image: Image, picture: bytes, caption: str) -> str:
    source = f"data:image/webp;base64,{base64.b64encode(picture).decode()}" if picture else ""
    shown = (
        f'<img src="{source}" alt="{_name(image)}" style="{_PICTURE}">' if source else f'<div style="{_PICTURE}"></div>'
    )
    return f'<div style="{_TILE}" title="{escape(image.id)}">{shown}<br>{caption}</div>'


def _name(image: Image) -> str:
    return escape(image.name)


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _unknown(words: Iterable[UnknownWord]) -> list[str]:
    return [
        f"Not known: <i>{escape(each.word)}</i>."
        + (f" Did you mean {escape(' or '.join(each.suggestions[:3]))}?" if each.suggestions else "")
        for each in words
    ]


def _notes(notes: Iterable[str]) -> str:
    return "".join(f"<p>{note}</p>" for note in notes)


_DRAWN: dict[type, Callable[[Any, Server | None], str]] = {
    Image: _image,
    ImageMatch: _match,
    ImageMatches: _matches,
    Tags: _tags,
    WordMatches: _words,
}
