"""Searches with the command beyond a line of words: images and signs, why nothing was found, pages, pictures."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from PIL import Image
from PIL.ExifTags import IFD, Base
from semsearch import Client, Upload
from semsearch.cli import searches

from tests.services.client_stack import ClientStack, client_stack, in_terminal, semsearch
from tests.unit.gateway.doubles import picture, sha256

COLORS = ("red", "green", "blue", "yellow", "orange")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture of each colour, and one whose name is an attack on terminals and browsers."""
    folder = tmp_path_factory.mktemp("photos")
    for color in COLORS:
        (folder / f"{color}.png").write_bytes(picture(color))
    (folder / "\x1b[2J<script>\n.png").write_bytes(picture("purple"))
    return folder


@pytest.fixture(scope="module")
def server(stack: ClientStack, photos: Path) -> str:
    assert semsearch(stack.server, "index", photos).status == 0
    assert semsearch(stack.server, "collections", "create", "nothing").status == 0
    return stack.server


@pytest.fixture(autouse=True)
def in_photos(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)


def first(server: str, *arguments: str) -> str:
    return str(semsearch(server, "search", "--json", *arguments).document["matches"][0]["image"]["attributes"]["name"])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["red", "+", "./green.png"], "yellow.png"),
        (["yellow", "-", "0.9:./red.png"], "green.png"),
        (["./yellow.png", "-", "0.9:red"], "green.png"),
        (["0.1:red.png", "+", "green.png"], "green.png"),
        (["./yellow.png", "-0.9:id:{red}"], "green.png"),
        (["./yellow.png", "NOT", "red"], "green.png"),
        (["--image", "red.png", "--id", "{green}"], "yellow.png"),
    ],
)
def test_images_and_words_are_added_and_taken_away(server: str, arguments: list[str], name: str) -> None:
    ids = {color: sha256(picture(color))[:8] for color in COLORS}
    assert first(server, *(each.format(**ids) for each in arguments)) == name


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["red", "+", "./none.png"], ["There is no file ./none.png.", "  red + ./none.png", "        ^^^^^^^^^^"]),
        (["red", "2:"], ['"2:" is a weight without a word or an image: write 2:sofa.', "  red 2:", "      ^^"]),
    ],
)
def test_an_error_points_at_its_place(server: str, arguments: list[str], lines: list[str]) -> None:
    done = semsearch(server, "search", *arguments)
    assert (done.status, done.out, done.err.splitlines()) == (2, "", lines)
    machine = semsearch(server, "search", "--json", *arguments)
    assert json.loads(machine.err)["error"] == {"reason": "INVALID_QUERY", "message": lines[0], "hint": ""}


def test_an_error_of_the_server_points_at_its_place_too(server: str, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    done = semsearch(server, "search", "./red.png", "-", f"{tmp_path}/text.png")
    assert done.status == 1
    message, line, mark = done.err.splitlines()
    assert message == "The bytes are not an image."
    assert line[len(mark) - mark.count("^") : len(mark)] == f"{tmp_path}/text.png"


def test_an_id_is_known_by_its_beginning_unless_several_begin_so(server: str, tmp_path: Path) -> None:
    contents = {hashlib.sha256(b).hexdigest(): b for b in (picture("red", seed=n, size=(4, 4)) for n in range(600))}
    beginnings = sorted(contents)
    one, other = next((a, b) for a, b in itertools.pairwise(beginnings) if a[:4] == b[:4])
    for name in (one, other):
        (tmp_path / f"{name[:9]}.png").write_bytes(contents[name])
    assert semsearch(server, "index", tmp_path, "-c", "twins").status == 0
    done = semsearch(server, "search", "-c", "twins", "red", "+", f"id:{one[:4]}")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"Several images have ids that begin with {one[:4]}: ")
    assert one in done.err
    assert other in done.err
    assert semsearch(server, "delete", "-c", "twins", one[:4]).status == 1
    assert semsearch(server, "delete", "-c", "twins", one[:4], "--json").out == ""
    assert semsearch(server, "delete", "-c", "twins", one[:12]).err == "1 deleted.\n"
    assert semsearch(server, "delete", "-c", "twins", one[:12]).err == f"There is no image {one[:12]}.\n0 deleted.\n"
    assert [each["id"] for each in semsearch(server, "list", "-c", "twins", "--json").lines] == [other]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["red", "-c", "nothing"], "The collection nothing is empty. Add images with: semsearch index DIR -c nothing"),
        (["red", "-f", "nmae=x"], 'No image has the attribute "nmae". Did you mean name?'),
        (
            ["red", "-f", "zzz=x"],
            'No image has the attribute "zzz". There are folder, modified, name, path, paths, roots.',
        ),
        (["red", "-f", "name=x"], "No image has name=x. There are "),
        (["red", "-f", "name=blue.png"], "No image is relevant enough. The nearest is blue.png with a relevance of "),
        (["./red.png", "-f", "name=x"], "No image has name=x. There are "),
        (["red", "-f", "name=rad.png"], "No image has name=rad.png. Did you mean red.png"),
        (
            ["red", "-f", "name=red.png", "-f", "path=blue.png"],
            "No image passes the filters on name and path together.",
        ),
        (["--id", sha256(picture("red")), "-f", "name=red.png"], "There is no other image."),
    ],
)
def test_nothing_found_says_why_and_is_no_failure(server: str, arguments: list[str], sentence: str) -> None:
    done = semsearch(server, "search", *arguments)
    assert (done.status, done.out) == (0, "")
    assert done.err.startswith(sentence)
    assert semsearch(server, "search", "--json", *arguments).document["matches"] == []


def test_an_empty_list_says_why(server: str) -> None:
    assert semsearch(server, "list", "-f", "nmae=x").err.startswith('No image has the attribute "nmae".')
    assert semsearch(server, "list", "-c", "nothing").err.startswith("The collection nothing is empty.")


def test_pages_go_on_where_the_last_one_ended(server: str) -> None:
    command = ("search", "red", "--min-relevance", "0", "-n", "4")
    whole = [each["image"]["id"] for each in semsearch(server, *command[:-1], "20", "--json").document["matches"]]
    start = semsearch(server, *command)
    assert start.err == "There are more: the same command with --page-token next.\n"
    rest = semsearch(server, *command, "--page-token", "next")
    assert [line.split()[0] for line in (start.out + rest.out).splitlines() if re.match(r" +\d", line)] == list(
        "123456"
    )
    assert [each for each in whole if each in rest.out] == whole[4:]
    over = semsearch(server, *command, "--page-token", "next")
    assert (over.status, over.out) == (1, "")
    assert over.err.startswith("The last search has no further page.")
    token = semsearch(server, *command, "--json").document["next_page_token"]
    again = semsearch(server, *command, "--json", "--page-token", token).document
    assert [each["image"]["id"] for each in again["matches"]] == whole[4:]
    altered = semsearch(server, *command, "--page-token", token[:-2])
    assert altered.status == 1
    assert "page" in altered.err


def test_more_than_a_page_holds_comes_from_several(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "_PAGE", 2)
    found = semsearch(server, "search", "red", "--min-relevance", "0", "-n", "5", "--json").document
    assert len({each["image"]["id"] for each in found["matches"]}) == 5
    assert found["next_page_token"]
    assert len(semsearch(server, "words", "red", "-n", "5", "--json").document["words"]) == 5


def test_names_are_shown_harmlessly(server: str) -> None:
    for arguments in (["list"], ["search", "purple"], ["search", "blue", "-f", "folder=.", "--min-relevance", "0"]):
        shown = semsearch(server, *arguments).out
        assert r"\x1b[2J<script>\n.png" in shown
        assert "\x1b" not in shown


def test_a_contact_sheet_is_one_file_that_runs_nothing(server: str, tmp_path: Path) -> None:
    file = tmp_path / "sheet.html"
    done = semsearch(server, "search", "purple", "--min-relevance", "0", "--html", file)
    assert (done.status, done.err) == (0, f"{file} has 6 pictures.\n")
    page = file.read_text()
    assert page.count("data:image/webp;base64,") == 6
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|https?://|\x1b", page)
    nowhere = semsearch(server, "search", "purple", "--html", tmp_path / "none" / "sheet.html")
    assert (nowhere.status, nowhere.err.splitlines()[-1]) == (
        1, f"{tmp_path / 'none' / 'sheet.html'} cannot be written: No such file or directory.",
    )  # fmt: skip


def test_a_result_is_opened_from_its_file_or_else_from_a_copy(
    server: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", lambda file: opened.append(file) or 0)
    with Client(server) as client:
        client.create_collection("loose")
        list(client.index_images([Upload(picture("red", seed=9))], collection="loose"))
    assert semsearch(server, "search", "red", "-c", "loose", "--min-relevance", "0").status == 0
    assert semsearch("127.0.0.1:1", "open", "--json").document["opened"] is True
    assert (Path(opened[0]).suffix, Path(opened[0]).read_bytes()) == (".png", picture("red", seed=9))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "red.png").write_bytes(picture("blue"))
    assert semsearch(server, "search", "red", "--min-relevance", "0", "-n", "2").status == 0
    assert semsearch(server, "open", "1").err == f"Opened {photos / 'red.png'}\n"
    beyond = semsearch(server, "open", "3")
    assert (beyond.status, beyond.err) == (1, "The last search has no result 3: it has 2 results, from 1.\n")
    monkeypatch.setattr(typer, "launch", lambda _: 1)
    assert "No program here opens images." in semsearch(server, "open", "1").err


def test_pictures_are_shown_in_a_terminal(server: str) -> None:
    pytest.importorskip("textual_image")
    shown = in_terminal(server, "search", "red", "-n", "1", "--show")
    assert "▀" in shown
    assert "Traceback" not in shown
    assert "red.png" in shown.splitlines()[-1]


def test_pictures_need_a_terminal(server: str) -> None:
    pytest.importorskip("textual_image")
    done = semsearch(server, "search", "red", "--show")
    assert "--show needs a terminal" in done.err
    assert "\x1b" not in done.out


def test_pictures_need_an_extra_that_is_named(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_image", None)
    done = semsearch(server, "search", "red", "--show")
    assert (done.status, done.out) == (1, "")
    assert 'Install the extra "show": pip install "semsearch[show]"' in done.err


def test_photos_are_found_by_when_they_were_taken(server: str, tmp_path: Path) -> None:
    for month, color in ((5, "red"), (6, "green"), (8, "blue")):
        exif = Image.Exif()
        exif[Base.Model] = "Box"
        exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = f"2024:{month:02}:17 09:30:00"
        with Image.open(io.BytesIO(picture(color))) as photo:
            photo.save(tmp_path / f"{color}.png", exif=exif)
    assert semsearch(server, "index", tmp_path, "-c", "dated").status == 0

    def taken(time: str, *command: str) -> set[str]:
        done = semsearch(server, *command, "-c", "dated", "--taken", time, "--json")
        return set(re.findall(r"(red|green|blue)\.png", done.out))

    listing, search = ("list",), ("search", "yellow", "--min-relevance", "0")
    for command in (listing, search):
        assert taken("2024-06..2024-08", *command) == {"green", "blue"}
        assert taken("..2024-05-17", *command) == {"red"}
    done = semsearch(server, "list", "-c", "dated", "--taken", "2023")
    assert "No image was taken in 2023." in done.err
    assert "No image has a time taken" in semsearch(server, "list", "--taken", "2023").err
    assert semsearch(server, "list", "--taken", "yesterday").status == 1
