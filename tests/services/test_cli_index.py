"""`semsearch index` with a gateway over sockets: its additions, output and exit status."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.client_stack import COMMAND_SECONDS, ClientStack, client_stack, semsearch, semsearch_process
from tests.unit.gateway.doubles import overloaded, picture, sha256

COPIES = "The server keeps a copy of each image (with --reference, only a thumbnail)."


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with seven images in three folders, and files that are not images."""
    for n, name in enumerate(["a.png", "B.PNG", "sub/c.png", "sub/d.jpg", "sub/deep er/e.png", "é.png", "sub/g.png"]):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture("red", seed=100 + n))
    (tmp_path / "photos" / "notes.txt").write_text("not sent")
    (tmp_path / "photos" / ".hidden.png").write_bytes(picture("blue"))
    (tmp_path / "photos" / ".thumbnails").mkdir()
    (tmp_path / "photos" / ".thumbnails" / "t.png").write_bytes(picture("blue"))
    return tmp_path / "photos"


@pytest.fixture
def collection(request: pytest.FixtureRequest) -> str:
    """Return the name of a collection that no other test uses and that does not exist yet."""
    return "c" + sha256(request.node.nodeid.encode())[:20]


def paths(stack: ClientStack, collection: str) -> list[str]:
    return sorted(
        line["attributes"]["path"] for line in semsearch(stack.server, "list", "--json", "-c", collection).lines
    )


def test_a_folder_is_added_with_all_below_it(stack: ClientStack, folder: Path, collection: str) -> None:
    done = semsearch(stack.server, "index", folder, "-c", collection)
    assert (done.status, done.out) == (0, "")
    created, summary, passed_over = done.err.splitlines()
    assert created == f"Created the collection {collection}. {COPIES}"
    assert summary.startswith("7 added in ")
    assert summary.endswith(" images/s).")
    assert passed_over == "Passed over: 2 hidden, 1 not an image (--verbose lists them)."
    assert paths(stack, collection) == [
        "B.PNG", "a.png", "sub/c.png", "sub/d.jpg", "sub/deep er/e.png", "sub/g.png", "é.png",
    ]  # fmt: skip
    deep = next(
        line["attributes"]
        for line in semsearch(stack.server, "list", "--json", "-c", collection).lines
        if line["attributes"]["name"] == "e.png"
    )
    assert (deep["path"], deep["folder"]) == ("sub/deep er/e.png", "sub/deep er")
    assert deep["modified"].endswith("+00:00")


def test_a_second_run_sends_nothing(stack: ClientStack, folder: Path, collection: str) -> None:
    semsearch(stack.server, "index", folder, "-c", collection)
    before = stack.embedder.embedded_images
    again = semsearch(stack.server, "index", folder, "-c", collection, "-v")
    assert (again.status, again.err.splitlines()) == (
        0,
        [
            ".hidden.png: passed over, hidden", "notes.txt: passed over, not an image",
            ".thumbnails: passed over, hidden",
            "0 added, 7 already there.", "Passed over: 2 hidden, 1 not an image.",
        ],
    )  # fmt: skip
    (folder / "a.png").touch()
    (folder / "a.png").rename(folder / "renamed.png")
    moved = semsearch(stack.server, "index", folder, "-c", collection)
    assert moved.err.startswith("0 added, 1 moved, 6 already there.\n")
    assert "renamed.png" in paths(stack, collection)
    assert stack.embedder.embedded_images == before


def test_only_what_is_new_or_changed_is_sent(stack: ClientStack, folder: Path, collection: str) -> None:
    semsearch(stack.server, "index", folder, "-c", collection)
    (folder / "new.png").write_bytes(picture("green", seed=7))
    (folder / "a.png").write_bytes(picture("green", seed=8))
    (folder / "twin.png").write_bytes(picture("green", seed=7))
    done = semsearch(stack.server, "index", folder, "-c", collection, "--json")
    *results, summary = done.lines
    assert {
        each["path"]: each["outcome"] for each in results if each["outcome"] in ("added", "replaced", "duplicate")
    } == {
        "new.png": "added",
        "a.png": "replaced",
        "twin.png": "duplicate",
    }
    assert {name: count for name, count in summary["summary"].items() if count} == {
        "added": 1, "replaced": 1, "unchanged": 6, "duplicate": 1, "passed_over": 3,
    }  # fmt: skip
    assert summary["passed_over"] == {"HIDDEN": 2, "OTHER_SUFFIX": 1}
    again = semsearch(stack.server, "index", folder, "-c", collection)
    assert again.err.startswith("0 added, 9 already there.\n")


def test_a_file_that_cannot_be_indexed_is_named_with_the_reason(
    stack: ClientStack, folder: Path, collection: str
) -> None:
    (folder / "1-text.png").write_text("no image")
    (folder / "2-cut.jpg").write_bytes(picture("blue", seed=1)[:60])
    (folder / "3-dangling.png").symlink_to(folder / "nothing")
    (folder / "4-empty.webp").touch()
    os.mkfifo(folder / "5-pipe.png")
    (folder / "6-device.png").symlink_to("/dev/zero")
    with (folder / "7-huge.tiff").open("wb") as huge:
        huge.truncate(70 * 2**20)
    done = semsearch(stack.server, "index", folder, "-c", collection)
    _, *failures, summary, passed_over = done.err.splitlines()
    assert passed_over == "Passed over: 2 hidden, 1 empty file, 1 not an image (--verbose lists them)."
    assert sorted(failures) == [
        "1-text.png: The bytes are not an image. (NOT_AN_IMAGE)",
        "2-cut.jpg: The image is cut off. (DAMAGED_IMAGE)",
        "3-dangling.png: No such file or directory (UNREADABLE)",
        "5-pipe.png: Not a regular file (UNREADABLE)",
        "6-device.png: Not a regular file (UNREADABLE)",
        "7-huge.tiff: has 73,400,320 bytes, and an image may have 66,060,288 (IMAGE_TOO_LARGE)",
    ]
    assert summary.startswith("7 added in ")
    assert summary.endswith(", 6 failed.")
    assert done.status == 1
    machine = semsearch(stack.server, "index", folder, "-c", collection, "--json")
    failed = {each["path"]: each["reason"] for each in machine.lines[:-1] if each["outcome"] == "failed"}
    assert failed["1-text.png"] == "NOT_AN_IMAGE"
    assert len(failed) == 6
    assert {name: count for name, count in machine.lines[-1]["summary"].items() if count} == {
        "unchanged": 7, "failed": 6, "passed_over": 4,
    }  # fmt: skip


def test_a_folder_with_only_bad_files_reports_each(stack: ClientStack, tmp_path: Path, collection: str) -> None:
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.truncate(70 * 2**20)
    done = semsearch(stack.server, "index", tmp_path, "-c", collection)
    assert done.status == 1
    assert done.err.endswith("0 added, 1 failed.\n")


def test_an_empty_folder_is_not_an_error(stack: ClientStack, tmp_path: Path) -> None:
    done = semsearch(stack.server, "index", tmp_path)
    assert (done.status, done.out, done.err) == (0, "", "0 added.\n")


def test_a_name_outside_unicode_and_a_bad_time_are_accepted(
    stack: ClientStack, tmp_path: Path, collection: str
) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.png")).write_bytes(picture("blue", seed=1))
    (tmp_path / "old.png").write_bytes(picture("blue", seed=2))
    os.utime(tmp_path / "old.png", (-(2**31), -(2**31)))
    done = semsearch(stack.server, "index", tmp_path, "-c", collection)
    assert done.status == 0
    assert paths(stack, collection) == ["old.png", "\N{REPLACEMENT CHARACTER}ff.png"]
    assert semsearch(stack.server, "index", tmp_path, "-c", collection).err == "0 added, 2 already there.\n"


@pytest.fixture
def embeds_only(stack: ClientStack) -> Iterator[Callable[[int], None]]:
    """Yield a function that makes the embedder refuse images after the first `images`, until the test ends."""
    embedder = stack.embedder

    def limit(images: int) -> None:
        last = embedder.embedded_images + images

        def refuse() -> None:
            if embedder.embedded_images >= last:
                raise overloaded(0.02)

        embedder.before_images = refuse

    yield limit
    embedder.before_images = lambda: None


def many(folder: Path, count: int) -> Path:
    for n in range(count):
        (folder / f"{n:03}.png").write_bytes(picture("orange", seed=1_000 + n))
    return folder


def test_ctrl_c_keeps_acknowledged_images_and_a_rerun_resumes(
    stack: ClientStack, tmp_path: Path, collection: str, embeds_only: Callable[[int], None]
) -> None:
    many(tmp_path, 100)
    embeds_only(30)
    acknowledged: list[str] = []
    with semsearch_process(stack.server, "index", tmp_path, "--json", "-c", collection) as indexing:
        assert indexing.stdout is not None
        assert indexing.stderr is not None
        while len(acknowledged) < 20:
            acknowledged.append(json.loads(indexing.stdout.readline())["path"])
        indexing.send_signal(signal.SIGINT)
        acknowledged += [json.loads(line)["path"] for line in indexing.stdout]
        output = indexing.stderr.read()
        assert indexing.wait(COMMAND_SECONDS) == 130
    stack.embedder.before_images = lambda: None
    assert set(acknowledged) <= set(paths(stack, collection))
    assert "Traceback" not in output
    assert output.splitlines()[-1].endswith(
        f"What was added stays; resume with: semsearch index {tmp_path} --collection {collection}"
    )

    *results, summary = semsearch(stack.server, "index", tmp_path, "--json", "-c", collection).lines
    assert summary["summary"]["added"] + summary["summary"]["unchanged"] + summary["summary"]["duplicate"] == 100
    assert not set(acknowledged) & {each["path"] for each in results if each["outcome"] == "added"}
    assert paths(stack, collection) == [f"{n:03}.png" for n in range(100)]
