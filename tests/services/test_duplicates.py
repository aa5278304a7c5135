"""Copies of a picture over real services: found by `semsearch duplicates`, and hidden by `search --distinct`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from semsearch import Client

from tests.services.client_stack import ClientStack, Done, client_stack, semsearch


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def server(stack: ClientStack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A gateway with a reddish picture and four copies of it, another reddish picture, and plain red."""
    folder = tmp_path_factory.mktemp("photos")
    photo = _photo(1)
    half = photo.resize((200, 150), Image.Resampling.LANCZOS)
    _save(photo, folder / "original.png")
    _save(photo, folder / "shared.jpg", quality=40)
    _save(photo, folder / "web.webp", quality=70)
    _save(half, folder / "half.jpg", quality=85)
    _save(half, folder / "half.png")
    _save(_photo(2), folder / "other.jpg", quality=90)
    _save(Image.new("RGB", (40, 30), (200, 0, 0)), folder / "plain-1.png")
    _save(Image.new("RGB", (40, 30), (201, 0, 0)), folder / "plain-2.png")
    assert semsearch(stack.server, "index", folder).status == 0
    return stack.server


def _photo(seed: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 70, (9, 12, 3))
    return Image.fromarray((levels + np.array([180, 0, 0])).astype(np.uint8)).resize(
        (400, 300), Image.Resampling.BICUBIC
    )


def _save(picture: Image.Image, file: Path, **options: int) -> None:
    content = io.BytesIO()
    picture.save(content, {".png": "PNG", ".webp": "WEBP"}.get(file.suffix, "JPEG"), **options)
    file.write_bytes(content.getvalue())


def names(images: list[dict[str, dict[str, str]]]) -> list[str]:
    return [image["attributes"]["path"] for image in images]


def found(done: Done) -> list[str]:
    assert done.status == 0, done.err
    return names([match["image"] for match in done.document["matches"]])


COPIES = ["original.png", "web.webp", "shared.jpg", "half.png", "half.jpg"]


def test_copies_are_listed_best_first(server: str) -> None:
    document = semsearch(server, "duplicates", "--json").document
    (group,) = document["groups"]
    assert set(names(group)) == set(COPIES)
    order = [(image["width"] * image["height"], image["size_bytes"]) for image in group]
    assert order == sorted(order, reverse=True)
    assert names(group)[0] == "original.png"
    assert (document["unhashed_count"], document["plain_count"]) == (0, 2)


def test_people_see_a_table_and_what_was_not_compared(server: str) -> None:
    done = semsearch(server, "duplicates")
    rows = [line.split() for line in done.out.splitlines()[3:] if line.strip()]
    assert rows[0][:4] == ["1", "original.png", "400×300", f"{int(rows[0][3].replace(',', '')):,}"]
    assert len(rows) == len(COPIES)
    assert done.err.startswith("1 group. Besides the best of each: 4 images, ")
    assert done.err.endswith("Not compared: 2 images with almost no contrast, such as one colour.\n")


def test_a_search_shows_each_picture_once(server: str) -> None:
    everything = found(semsearch(server, "search", "red", "--json", "--min-relevance=0"))
    distinct = found(semsearch(server, "search", "red", "--json", "--min-relevance=0", "--distinct"))
    best = next(name for name in everything if name in COPIES)
    assert distinct == [name for name in everything if name not in COPIES or name == best]


def test_pages_of_distinct_pictures_are_full_and_cover_each_once(server: str) -> None:
    with Client(server) as client:
        shown, token = [], None
        while token != "":
            page = client.search_by_text("red", min_relevance=0, page_size=1, page_token=token or "", distinct=True)
            assert len(page.matches) == 1
            shown += [match.image.attributes["path"] for match in page.matches]
            token = page.next_page_token
    assert len(shown) == 4
    assert len(set(shown) & set(COPIES)) == 1


def test_ids_of_all_but_the_best_can_be_deleted(server: str) -> None:
    done = semsearch(server, "duplicates", "--ids")
    ids = done.out.split()
    assert len(ids) == len(COPIES) - 1
    assert semsearch(server, "delete", *ids).status == 0
    again = semsearch(server, "duplicates")
    assert again.err.startswith("No two images show the same picture.")
    assert "original.png" in semsearch(server, "list").out
