"""What notebooks draw: pictures from the server, and nothing that its text could run."""

from __future__ import annotations

import base64
import copy
from html.parser import HTMLParser

import pytest
from google.protobuf import struct_pb2
from google.rpc import code_pb2
from semsearch import Image, ImageMatches, Tag, Tags, UnknownWord, WordMatch, WordMatches
from semsearch.notebook import MOST_PICTURES
from semsearch.v1 import gallery_service_pb2 as gallery_pb
from semsearch.v1 import image_pb2, search_service_pb2

from tests.unit.client.scripted_server import KINDS, Refusal, ScriptedServer, ask, running

HOSTILE = "<script>alert('x')</script>\" onerror=\"alert(1)"
THUMBNAIL = b"RIFF any WebP"


class Seen(HTMLParser):
    """The tags of a page, the attributes of its pictures, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"style", "title", "src", "alt"}
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def script() -> ScriptedServer:
    script = ScriptedServer()
    for _ in range(200):
        script.will("DownloadImage", [gallery_pb.DownloadImageResponse(chunk=THUMBNAIL)])
    return script


def matches(count: int) -> search_service_pb2.SearchByTextResponse:
    attributes = struct_pb2.Struct()
    attributes.update({"path": HOSTILE, HOSTILE: HOSTILE})
    image = image_pb2.Image(id=HOSTILE, collection="zoo", attributes=attributes, camera=HOSTILE)
    return search_service_pb2.SearchByTextResponse(
        matches=[search_service_pb2.ImageMatch(image=image, relevance=0.75)] * count,
        next_page_token="t",
        unknown_words=[{"word": HOSTILE, "suggestions": [HOSTILE]}],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_is_drawn_with_its_pictures_after_its_client_is_closed(kind: str, script: ScriptedServer) -> None:
    script.will("SearchByText", [matches(MOST_PICTURES + 2)])
    with running(script) as address:
        found: ImageMatches = ask(kind, address, lambda client: client.search_by_text("dog"))
        seen = Seen(found._repr_html_())
    source = f"data:image/webp;base64,{base64.b64encode(THUMBNAIL).decode()}"
    assert [(image["src"], image["alt"]) for image in seen.images] == [(source, HOSTILE)] * MOST_PICTURES
    assert "script" not in seen.tags
    assert all(text in seen.text for text in ("0.750", "2 more", "Did you mean", "client.pages(found)", HOSTILE))
    fetched = [request for name, request in script.requests if name == "DownloadImage"]
    assert {(request.id, request.collection, request.rendition) for request in fetched} == {  # type: ignore[attr-defined]
        (HOSTILE, "zoo", gallery_pb.RENDITION_THUMBNAIL)
    }


def test_an_image_and_a_match_are_drawn_alone(script: ScriptedServer) -> None:
    script.will("SearchByText", [matches(1)])
    with running(script) as address:
        [match] = ask("Client", address, lambda client: client.search_by_text("dog"))
        for drawn in (match, match.image):
            seen = Seen(drawn._repr_html_())
            assert (len(seen.images), "script" in seen.tags) == (1, False)
            assert HOSTILE in seen.text


def test_without_a_server_or_a_thumbnail_there_is_text(script: ScriptedServer) -> None:
    script.will("SearchByText", [matches(1)])
    script.script["DownloadImage"].clear()
    script.will("DownloadImage", Refusal(code_pb2.NOT_FOUND))
    with running(script) as address:
        found = ask("Client", address, lambda client: client.search_by_text("dog"))
        assert Seen(found._repr_html_()).images == []
    image: Image = found[0].image
    for drawn in (found, copy.deepcopy(image)):
        seen = Seen(drawn._repr_html_())
        assert (seen.images, HOSTILE in seen.text) == ([], True)
    assert "Nothing is relevant enough" in Seen(ImageMatches(())._repr_html_()).text


def test_words_and_tags_are_tables() -> None:
    unknown = (UnknownWord(HOSTILE, ()),)
    for drawn in (
        Tags((Tag(HOSTILE, 0.5, 0.875, 0.25),), unknown),
        WordMatches((WordMatch(HOSTILE, 0.5, 0.875),), unknown),
    ):
        seen = Seen(drawn._repr_html_())
        assert {"table", "tr", "td"} <= set(seen.tags)
        assert "script" not in seen.tags
        assert "0.875" in seen.text
        assert seen.text.count(HOSTILE) == 2
