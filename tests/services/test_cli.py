"""The `semsearch` command against a gateway over sockets: its results, output and messages."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.services.client_stack import COMMAND_SECONDS, ClientStack, Done, client_stack, semsearch, semsearch_process
from tests.unit.gateway.doubles import picture, sha256

HEX = 64


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def server(stack: ClientStack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A gateway whose default collection has three pictures of each colour in a folder of its name."""
    folder = tmp_path_factory.mktemp("photos")
    for color in ("red", "green", "blue"):
        (folder / color).mkdir()
        for n in range(3):
            (folder / color / f"{color}-{n}.png").write_bytes(picture(color, seed=n + 1))
    assert semsearch(stack.server, "index", folder).status == 0
    return stack.server


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.fixture
def red(tmp_path: Path) -> Path:
    file = tmp_path / "a red one.png"
    file.write_bytes(picture("red"))
    return file


def test_a_search_by_words_is_a_table_for_people(server: str) -> None:
    done = semsearch(server, "search", "red")
    header, _, *rows = [line for line in done.out.splitlines() if line.strip()]
    assert header.split() == ["#", "relevance", "similarity", "image", "attributes", "id"]
    assert [(row.split()[0], row.split()[3]) for row in rows] == [
        ("1", "red/red-0.png"),
        ("2", "red/red-1.png"),
        ("3", "red/red-2.png"),
    ]
    assert {row.split()[-1] for row in rows} == {sha256(picture("red", seed=n + 1)) for n in range(3)}
    assert (done.status, done.err) == (0, "")


def test_a_search_by_words_is_a_document_for_machines(server: str) -> None:
    done = semsearch(server, "search", "red", "--json", "-n2")
    assert (done.status, done.err) == (0, "")
    assert set(done.document) == {"matches", "unknown_words", "next_page_token", "understood"}
    first = done.document["matches"][0]
    assert set(first) == {"image", "distance", "similarity", "relevance"}
    assert first["image"]["attributes"]["path"] == "red/red-0.png"
    assert first["image"]["create_time"].endswith("+00:00")
    assert len(done.document["matches"]) == 2


@pytest.mark.parametrize(
    ("arguments", "first", "missing"),
    [
        (["purple", "-red"], "blue", "red"),
        (["red^0.1", "green"], "green", "blue"),
        (["--", "-red", "purple"], "blue", "red"),
        (["red", "--filter", "folder=blue"], "blue", "red"),
        (["yellow", "-f", "folder=blue", "-f", "folder=green"], "green", "red"),
    ],
)
def test_words_are_weighed_taken_away_and_filtered(server: str, arguments: list[str], first: str, missing: str) -> None:
    done = semsearch(server, "search", "--json", "-n3", "--min-relevance=0", *arguments)
    found = [match["image"]["attributes"]["folder"] for match in done.document["matches"]]
    assert found[0] == first
    assert missing not in found


def test_an_image_finds_its_like_with_words_added_and_taken_away(server: str, red: Path) -> None:
    like = semsearch(server, "search", "--json", "-n3", "--image", red).document["matches"]
    assert {match["image"]["attributes"]["folder"] for match in like} == {"red"}
    stored = sha256(picture("red", seed=1))
    mixed = semsearch(server, "search", "--json", "-n3", "--min-relevance=0", "--id", stored, "-red", "green^3")
    assert {match["image"]["attributes"]["folder"] for match in mixed.document["matches"]} == {"green"}


def test_a_word_that_is_not_known_is_named_with_suggestions(server: str) -> None:
    done = semsearch(server, "search", "redd", "red")
    assert done.status == 0
    assert done.err == 'The word "redd" is not known and did not count. Did you mean red?\n'
    assert "red/red-0.png" in done.out
    assert semsearch(server, "search", "redd", "red", "--json").document["unknown_words"] == [
        {"word": "redd", "suggestions": ["red"]}
    ]


def test_files_are_tagged_one_by_one_also_beside_bad_ones(server: str, red: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    done = semsearch(server, "tag", tmp_path / "text.png", red, tmp_path / "missing.png")
    assert done.status == 1
    assert done.err.splitlines() == [
        f"{tmp_path / 'text.png'}: The bytes are not an image.",
        f"{tmp_path / 'missing.png'} cannot be read: No such file or directory.",
    ]
    rows = [line for line in done.out.splitlines() if "a red one.png" in line]
    assert "red" in rows[0].split()[3]
    machine = semsearch(server, "tag", "--json", "-n1", tmp_path / "text.png", red)
    assert machine.status == 1
    [line] = machine.lines
    assert line["file"] == str(red)
    assert [tag["word"] for tag in line["tags"]] == ["red"]
    assert json.loads(machine.err)["error"]["reason"] == "NOT_AN_IMAGE"


def test_labels_of_ones_own_are_the_only_tags(server: str, red: Path) -> None:
    [line] = semsearch(server, "tag", "--json", "--min-relevance=0", "--labels", "blue, green,orange", red).lines
    assert line["tags"][0]["word"] == "orange"
    assert {tag["word"] for tag in line["tags"]} == {"blue", "green", "orange"}


def test_tag_reports_an_image_too_large_and_continues(server: str, red: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(70 * 2**20)
    done = semsearch(server, "tag", huge, red)
    assert done.status == 1
    assert done.err == f"{huge}: The request has more bytes than {server} accepts in one message.\n"
    assert "a red one.png" in done.out


def test_words_find_words(server: str) -> None:
    table = semsearch(server, "words", "red")
    assert table.out.split()[:2] == ["similarity", "word"]
    assert "crimson" in table.out
    document = semsearch(server, "words", "--json", "-n2", "red").document
    assert [word["word"] for word in document["words"]] == ["crimson", "orange"]


def test_images_are_listed_oldest_first(server: str) -> None:
    lines = semsearch(server, "list", "--json").lines
    assert [line["attributes"]["path"] for line in lines] == [
        f"{color}/{color}-{n}.png" for color in ("blue", "green", "red") for n in range(3)
    ]
    assert all(len(line["id"]) == HEX for line in lines)
    some = semsearch(server, "list", "-n2", "-f", "folder=red")
    assert "red/red-1.png" in some.out
    assert "red/red-2.png" not in some.out
    assert some.err == "2 images.\n"


def test_a_reader_that_has_enough_ends_the_list_quietly(server: str) -> None:
    with semsearch_process(server, "list", "--json") as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == ""
        assert listing.wait(COMMAND_SECONDS) == 1


def test_deleted_images_are_gone_and_unknown_ids_are_named(stack: ClientStack, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("orange"))
    assert semsearch(stack.server, "index", tmp_path, "-c", "short").status == 0
    name = sha256(picture("orange"))
    done = semsearch(stack.server, "delete", name, "nothing", "-c", "short")
    assert (done.status, done.err) == (1, "There is no image nothing.\n1 deleted.\n")
    assert semsearch(stack.server, "list", "--json", "-c", "short").lines == []
    again = semsearch(stack.server, "delete", name, "-c", "short", "--json")
    assert (again.status, again.document) == (1, {"deleted_count": 0, "unknown_ids": [name]})


def test_collections_are_created_renamed_and_deleted(stack: ClientStack, red: Path) -> None:
    def collections(*arguments: object, answer: str = "") -> Done:
        return semsearch(stack.server, "collections", *arguments, answer=answer)

    assert collections("create", "trip", "--name", "A trip").status == 0
    assert semsearch(stack.server, "index", red.parent, "-c", "trip").status == 0
    assert collections("rename", "trip", "rome").err == "trip is now rome, with 1 image.\n"
    row = next(line for line in collections("list").out.splitlines() if " rome " in line)
    assert row.split()[:4] == ["rome", "A", "trip", "1"]
    assert {each["id"] for each in collections("list", "--json").document} >= {"gallery", "rome"}
    refused = collections("delete", "rome", answer="n\n")
    assert (refused.status, collections("delete", "rome").status) == (1, 1), "no answer is no consent"
    assert "Delete the collection rome with 1 image?" in refused.err
    assert collections("delete", "rome", answer="y\n").err.endswith("rome is deleted, with 1 image.\n")
    gone = collections("delete", "rome", "--yes")
    assert (gone.status, gone.err) == (
        1, 'There is no collection "rome". `semsearch collections list` lists all collections.\n',
    )  # fmt: skip
    kept = collections("rename", "gallery", "other")
    assert (kept.status, "keeps its id" in kept.err) == (1, True)


def test_the_version_is_printed() -> None:
    done = semsearch("127.0.0.1:1", "--version")
    assert (done.status, done.out) == (0, f"semsearch {version('semsearch')}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "red"],
        ["collections", "list"],
        ["tag", "{red}"],
        ["words", "red"],
        ["list"],
        ["delete", "x"],
        ["model", "list"],
        ["model", "pull", "x"],
        ["model", "activate", "x"],
        ["index", "{dir}"],
    ],
    ids=" ".join,
)
def test_a_stopped_server_is_one_sentence_that_says_what_to_do(
    closed_port: str, red: Path, arguments: list[str]
) -> None:
    done = semsearch(closed_port, *(each.format(red=red, dir=red.parent) for each in arguments))
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"No semsearch answers at {closed_port}. "
        "Start one with `make run-all`, or name another with --server or SEMSEARCH_CLIENT_SERVER.\n"
    )


def test_a_stopped_server_is_reported_as_json(closed_port: str) -> None:
    done = semsearch("127.0.0.1:1", "search", "red", "--json", "--server", closed_port)
    assert (done.status, done.out) == (1, "")
    assert json.loads(done.err)["error"]["message"] == f"No semsearch answers at {closed_port}."


def test_another_server_at_the_address_is_reported(stack: ClientStack) -> None:
    done = semsearch(stack.server, "list", "--server", "no such host")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("No semsearch answers at no such host.")


@pytest.mark.parametrize(
    ("arguments", "sentence", "reason"),
    [
        (["search", "red", "-c", "nowhere"], "nowhere", "COLLECTION_NOT_FOUND"),
        (["list", "-c", "nowhere"], "nowhere", "COLLECTION_NOT_FOUND"),
        (["delete", "x", "-c", "nowhere"], "nowhere", "COLLECTION_NOT_FOUND"),
        (["search", "--id", "nothing"], "nothing", "IMAGE_NOT_FOUND"),
        (["search", "--id", "a/b"], "slashes", "INVALID_ID"),
        (["search", " "], "word", "EMPTY_QUERY"),
        (["search", "quux"], "known", "UNKNOWN_WORDS"),
        (["index", ".", "-c", "No/Such Name"], "No/Such Name", "INVALID_ID"),
        (["model", "pull", "nothing"], "nothing", "RECIPE_NOT_FOUND"),
        (["model", "activate", "nothing"], "nothing", "MODEL_NOT_FOUND"),
        (["model", "activate", ""], "empty", "INVALID_FIELD"),
    ],
)
def test_what_the_server_refuses_is_said_in_its_own_words(
    server: str, arguments: list[str], sentence: str, reason: str
) -> None:
    done = semsearch(server, *arguments)
    machine = semsearch(server, *arguments, "--json")
    assert (done.status, machine.status, done.out, machine.out) == (1, 1, "", "")
    assert done.err.count("\n") == 1
    assert sentence in done.err
    error = json.loads(machine.err)["error"]
    assert done.err == f"{error['message']} {error['hint']}".rstrip() + "\n"
    assert error["reason"] == reason


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["search", "red", "+"],
        ["search", "--image", __file__, "red^much"],
        ["search", "red", "--count", "0"],
        ["search", "red", "--min-relevance", "2"],
        ["search", "red", "--filter", "color"],
        ["search", "--id", "x", "red^much"],
        ["search", "red", "--colour", "x"],
        ["tag"],
        ["index", "/no/such/folder"],
        ["index", __file__],
        ["model", "pull"],
        ["models"],
        ["paint"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_reported_before_anything_is_sent(closed_port: str, arguments: list[str]) -> None:
    done = semsearch(closed_port, *arguments)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert "No semsearch answers" not in done.err
    assert done.err
