"""The same files are listed and read from a folder and from an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from semsearch.errors import InvalidRequest
from semsearch.ingest.places import ListedFile, Place, Unreadable, place_of

fsspec = pytest.importorskip("fsspec", reason='fsspec is not installed: pip install "semsearch[ray]"')

CONTENTS = {
    "b.PNG": b"b",
    "d/a.jpg": b"a",
    "d/e/empty.gif": b"",
    "notes.txt": b"n",
    ".hidden/x.png": b"x",
    "d/.y.png": b"y",
}


@pytest.fixture(params=["folder", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    root = {"folder": str(tmp_path), "file": f"file://{tmp_path}", "memory": "memory://photos"}[request.param]
    store, path = fsspec.core.url_to_fs(root)
    for name, content in CONTENTS.items():
        store.makedirs(str(Path(f"{path}/{name}").parent), exist_ok=True)
        store.pipe_file(f"{path}/{name}", content)
    yield place_of(root, ("excluded*",))
    if request.param == "memory":
        store.rm(path, recursive=True)


def listed(place: Place) -> dict[str, ListedFile]:
    return {file.path: file for file in place.files()}


def test_images_are_listed_without_what_is_hidden(place: Place) -> None:
    found = listed(place)
    assert set(found) - {"d/e/empty.gif"} == {"b.PNG", "d/a.jpg"}
    assert all(file.modified_ns and file.version and not file.problem for file in found.values())
    assert place.read("d/a.jpg") == b"a"


@pytest.mark.parametrize(("path", "why"), [("gone.png", "No such file|gone.png"), ("d/e/empty.gif", "empty")])
def test_a_file_that_cannot_be_read_is_one_problem(place: Place, path: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        place.read(path)


def test_a_changed_file_has_another_version(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    for place in (place_of(str(tmp_path)), place_of(f"file://{tmp_path}")):
        before = listed(place)["a.png"].version
        (tmp_path / "a.png").write_bytes(b"longer than " + before.encode())
        assert listed(place)["a.png"].version != before


def test_a_place_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="There is no folder"):
        place_of(str(tmp_path / "gone"))
    with pytest.raises(InvalidRequest, match="cannot be opened"):
        place_of("nosuchstore://bucket")
