"""`semsearch sync` and `watch` against a gateway over sockets: their changes, questions and exit status."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from semsearch.client import Client
from semsearch.errors import SemsearchError

from tests.services.client_stack import COMMAND_SECONDS, ClientStack, client_stack, semsearch, semsearch_process
from tests.unit.gateway.doubles import overloaded, picture, sha256


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def collection(request: pytest.FixtureRequest) -> str:
    """Return the name of a collection that no other test uses and that does not exist yet."""
    return "c" + sha256(request.node.nodeid.encode())[:20]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return many(tmp_path / "photos", 6)


def many(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for n in range(count):
        (folder / f"{n:03}.png").write_bytes(picture("orange", seed=1_000 + n))
    return folder


def places(stack: ClientStack, collection: str) -> dict[str, str]:
    """Return each place with the id of its image."""
    with Client(stack.server) as client:
        images = list(client.list_images(collection=collection))
    found = [(place, image.id) for image in images for place in image.attributes["paths"]]  # type: ignore[union-attr]
    assert len(dict(found)) == len(found)
    return dict(found)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + COMMAND_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_changes_are_followed_and_delete_removes_gone_images(stack: ClientStack, photos: Path, collection: str) -> None:
    assert semsearch(stack.server, "sync", photos, "-c", collection).status == 0
    embedded = stack.embedder.embedded_images
    (photos / "000.png").rename(photos / "moved.png")
    (photos / "copy.png").write_bytes((photos / "001.png").read_bytes())
    (photos / "002.png").write_bytes(picture("blue"))
    (photos / "003.png").unlink()
    done = semsearch(stack.server, "sync", photos, "-c", collection)
    first, advice = done.err.splitlines()
    assert "1 replaced, 1 moved, 3 already there, 1 with the same bytes as another, 1 whose file is gone." in first
    assert advice.endswith(f"semsearch sync {photos} --collection {collection} --delete")
    gone = semsearch(stack.server, "sync", photos, "-c", collection, "--delete")
    assert gone.err == "0 added, 6 already there, 1 removed.\n"
    assert stack.embedder.embedded_images == embedded + 1
    assert places(stack, collection) == {
        f"photos/{file.name}": sha256(file.read_bytes()) for file in photos.iterdir()
    }  # fmt: skip
    listed = semsearch(stack.server, "list", "--json", "-c", collection, "-f", "path=moved.png", "-f", "roots=photos")
    assert len(listed.lines) == 1


def test_two_folders_of_one_name_need_two_names(
    stack: ClientStack, photos: Path, tmp_path: Path, collection: str
) -> None:
    semsearch(stack.server, "sync", photos, "-c", collection)
    (tmp_path / "other").mkdir()
    other = many(tmp_path / "other" / "photos", 1)
    (other / "000.png").write_bytes(picture("blue"))
    refused = semsearch(stack.server, "sync", other, "-c", collection, "--delete")
    assert refused.status == 1
    assert f'the name "photos" stands for {photos}, and not for {other}' in refused.err
    assert semsearch(stack.server, "sync", other, "-c", collection, "--name", "more").status == 0
    assert len(places(stack, collection)) == 7


@pytest.mark.parametrize(("answer", "left"), [("y", 5), ("n", 6)])
def test_a_person_is_asked_how_many_may_go(
    stack: ClientStack, photos: Path, collection: str, answer: str, left: int
) -> None:
    semsearch(stack.server, "sync", photos, "-c", collection)
    (photos / "000.png").unlink()
    here, there = pty.openpty()
    with subprocess.Popen(
        [Path(sys.executable).parent / "semsearch", "sync", photos, "-c", collection],
        env={**os.environ, "SEMSEARCH_CLIENT_SERVER": stack.server, "COLUMNS": "200"},
        stdin=there, stdout=there, stderr=there,
    ) as process:  # fmt: skip
        os.close(there)  # so that reading fails if the command ends
        printed = b""
        while b"Remove?" not in printed:
            printed += os.read(here, 1_000)
        os.write(here, answer.encode() + b"\n")
        assert process.wait(COMMAND_SECONDS) == 0
    os.close(here)
    assert f"1 image of {collection} has no file any more." in printed.decode()
    assert len(places(stack, collection)) == left


def test_a_killed_run_resumes_and_a_second_at_once_is_refused(
    stack: ClientStack, tmp_path: Path, collection: str
) -> None:
    photos = many(tmp_path / "photos", 100)
    last = stack.embedder.embedded_images + 30

    def refuse() -> None:
        if stack.embedder.embedded_images >= last:
            raise overloaded(0.02)

    stack.embedder.before_images = refuse
    try:
        with semsearch_process(stack.server, "sync", photos, "--json", "-c", collection) as syncing:
            assert syncing.stdout is not None
            acknowledged = [json.loads(syncing.stdout.readline())["path"] for _ in range(20)]
            second = semsearch(stack.server, "sync", photos, "-c", collection)
            assert (second.status, second.out) == (1, "")
            assert second.err.startswith('Another semsearch is working on the root "photos"')
            syncing.kill()
    finally:
        stack.embedder.before_images = lambda: None
    assert {f"photos/{name}" for name in acknowledged} <= places(stack, collection).keys()
    for name in acknowledged:
        (photos / name).chmod(0)  # nothing that was stored is read again
    *results, _ = semsearch(stack.server, "sync", photos, "--json", "-c", collection).lines
    assert not {each["path"] for each in results if each["outcome"] in ("added", "failed")} & set(acknowledged)
    assert len(places(stack, collection)) == 100


def test_a_watched_folder_is_followed_until_ctrl_c(stack: ClientStack, photos: Path, collection: str) -> None:
    with semsearch_process(stack.server, "watch", photos, "-c", collection, "--delete", "--poll", "0.1") as watching:
        assert watching.stderr is not None
        wait_for(lambda: "Watching" in watching.stderr.readline())  # type: ignore[union-attr]
        wait_for(lambda: len(places(stack, collection)) == 6)
        (photos / "000.png").rename(photos / "moved.png")
        (photos / "001.png").unlink()
        wait_for(lambda: len(places(stack, collection)) == 5)
        watching.send_signal(signal.SIGINT)
        printed = watching.stderr.read()
        assert watching.wait(COMMAND_SECONDS) == 130
    assert "moved.png: moved\n001.png: removed\n" in printed
    assert printed.endswith("Stopped. 6 added, 1 moved, 1 removed.\n")
    assert "photos/moved.png" in places(stack, collection)


def test_originals_may_stay_where_they_are(stack: ClientStack, photos: Path, collection: str) -> None:
    done = semsearch(stack.server, "sync", photos, "-c", collection, "--reference")
    assert done.status == 0
    assert "The server keeps a thumbnail of each image." in done.err
    with Client(stack.server) as client:
        images = list(client.list_images(collection=collection))
        assert sorted(image.original_at for image in images) == [f"photos/{n:03}.png" for n in range(6)]
        with pytest.raises(SemsearchError, match=r"it came from 'photos/"):
            client.download_image(images[0].id, collection=collection)
        assert client.download_image(images[0].id, collection=collection, thumbnail=True)
    again = semsearch(stack.server, "sync", photos, "-c", collection, "--reference")
    assert again.err.startswith("0 added, 6 already there.")
    (photos / "000.png").unlink()
    gone = semsearch(stack.server, "sync", photos, "-c", collection, "--reference")
    assert f"semsearch sync {photos} --collection {collection} --reference --delete" in gone.err
