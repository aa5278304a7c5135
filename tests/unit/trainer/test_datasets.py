"""Labelled images from folders and tar shards."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.datasets import read_folder, read_images, read_tar
from trainer.errors import TrainingSetUnusable

NAMES = st.text("abcxyz_-0123456789", min_size=1, max_size=8)


def shard(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_a_folder_per_class_gives_labels_in_sorted_order(tmp_path: Path) -> None:
    for name in ("dog/b.png", "cat/2.JPG", "cat/nested/1.webp", "cat/notes.txt", "loose.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = [(each.key, each.label, each.content) for each in read_folder(tmp_path)]
    assert found == [
        ("cat/2.JPG", "cat", b"cat/2.JPG"),
        ("cat/nested/1.webp", "cat", b"cat/nested/1.webp"),
        ("dog/b.png", "dog", b"dog/b.png"),
    ]


@given(members=st.dictionaries(st.tuples(NAMES, NAMES).map(lambda pair: f"{pair[0]}/{pair[1]}.jpg"), st.binary()))
def test_a_shard_gives_back_every_image_as_it_was_put_in(
    members: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = shard(tmp_path_factory.mktemp("shards") / "s.tar", members)
    found = {each.key: (each.label, each.content) for each in read_tar(path)}
    assert found == {f"s.tar/{name}": (name.split("/")[0], content) for name, content in members.items()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_shards_may_be_compressed_and_hold_other_files(tmp_path: Path, mode: str) -> None:
    path = shard(tmp_path / "s.tar", {"./cat/1.jpg": b"cat", "README": b"text", "loose.jpg": b"no class"}, mode)
    assert [(each.key, each.label) for each in read_tar(path)] == [("s.tar/cat/1.jpg", "cat")]


def test_sources_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "folder" / "dog").mkdir(parents=True)
    (tmp_path / "folder" / "dog" / "1.jpg").write_bytes(b"dog")
    tar = shard(tmp_path / "s.tar", {"cat/1.jpg": b"cat"})
    assert [each.label for each in read_images([tar, tmp_path / "folder"])] == ["cat", "dog"]


def test_a_shard_that_breaks_off_is_told_after_what_was_whole(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", {"cat/1.jpg": b"a" * 5000, "cat/2.jpg": b"b" * 5000})
    path.write_bytes(path.read_bytes()[:8000])
    images = read_tar(path)
    assert next(images).content == b"a" * 5000
    with pytest.raises(TrainingSetUnusable, match=r"s\.tar .*cut off"):
        list(images)


@pytest.mark.parametrize("name", ["absent", "empty", "text.tar"])
def test_a_source_without_images_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar").write_text("not a tar")
    with pytest.raises(TrainingSetUnusable, match=name):
        list(read_images([tmp_path / name]))


def test_a_jsonl_names_images_beside_it_and_a_bad_line_is_told_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    file = tmp_path / "truth.jsonl"
    file.write_text('{"file": "a.png", "label": "cat", "seed": 1}\n')
    assert [(each.key, each.label, each.content) for each in read_images([file])] == [("a.png", "cat", b"a")]
    for bad in ("rubbish", "[]", '{"file": "a.png"}', '{"file": "none.png", "label": "cat"}'):
        file.write_text('{"file": "a.png", "label": "cat"}\n' + bad + "\n")
        with pytest.raises(TrainingSetUnusable, match="line 2"):
            list(read_images([file]))
