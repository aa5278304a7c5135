"""Labelled images from folders, tar shards, lists and Pascal VOC."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data_sets.reading import read_folder, read_images, read_tar
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


def test_a_truncated_shard_is_reported_after_its_whole_images(tmp_path: Path) -> None:
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


def test_a_jsonl_names_images_and_a_bad_line_is_named_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    file = tmp_path / "truth.jsonl"
    file.write_text('{"file": "a.png", "label": "cat", "seed": 1}\n')
    assert [(each.key, each.label, each.content) for each in read_images([file])] == [("a.png", "cat", b"a")]
    for bad in ("rubbish", "[]", '{"file": "a.png"}', '{"file": "none.png", "label": "cat"}'):
        file.write_text('{"file": "a.png", "label": "cat"}\n' + bad + "\n")
        with pytest.raises(TrainingSetUnusable, match="line 2"):
            list(read_images([file]))


def test_a_list_may_give_several_labels_and_a_side(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "truth.jsonl").write_text('{"file": "a.png", "labels": ["cat", "sofa", "cat"], "split": "val"}\n')
    (tmp_path / "truth.csv").write_bytes(
        "\ufeffpath,labels,split\r\na.png,cat|sofa,validation\r\na.png,dog,\r\n".encode()
    )
    assert [(each.labels, each.split) for each in read_images([tmp_path / "truth.jsonl", tmp_path / "truth.csv"])] == [
        (("cat", "sofa"), "validation"),
        (("cat", "sofa"), "validation"),
        (("dog",), None),
    ]


@pytest.mark.parametrize("line", ["a.png", "a.png,,train", "a.png,cat,test", "none.png,cat,train", ",cat,train"])
def test_a_bad_line_of_a_csv_is_reported_by_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "truth.csv").write_text(f"file,label,split\na.png,cat,train\n{line}\n")
    with pytest.raises(TrainingSetUnusable, match=r"line 3 names no image.*cat\|sofa"):
        list(read_images([tmp_path / "truth.csv"]))


def test_missing_columns_and_another_encoding_are_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("picture,class\na.png,cat\n")
    (tmp_path / "truth.jsonl").write_bytes('{"file": "ä"}'.encode("latin-1"))
    for name in ("truth.csv", "truth.jsonl"):
        with pytest.raises(TrainingSetUnusable, match=name):
            list(read_images([tmp_path / name]))


def voc(folder: Path, objects: dict[str, list[str]]) -> Path:
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for name, labels in objects.items():
        shown = "".join(f"<object><name>{label}</name><bndbox/></object>" for label in labels)
        (folder / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename>{shown}</annotation>"
        )
        (folder / "JPEGImages" / f"{name}.jpg").write_bytes(name.encode())
    return folder


def test_voc_gives_each_object_once_and_the_sides_of_its_lists(tmp_path: Path) -> None:
    folder = voc(tmp_path, {"3": ["dog"], "1": ["cat", "sofa", "cat"], "2": [], "4": ["car"]})
    assert [(each.key, each.labels, each.split) for each in read_images([folder])] == [
        ("JPEGImages/1.jpg", ("cat", "sofa"), None),
        ("JPEGImages/2.jpg", (), None),
        ("JPEGImages/3.jpg", ("dog",), None),
        ("JPEGImages/4.jpg", ("car",), None),
    ]
    (folder / "ImageSets" / "Main" / "train.txt").write_text("1\n2  1\n")
    (folder / "ImageSets" / "Main" / "val.txt").write_text("3 -1\n")
    assert [(each.content, each.split) for each in read_images([folder])] == [
        (b"1", "train"),
        (b"2", "train"),
        (b"3", "validation"),
    ]


def test_errors_in_voc_are_reported_by_name(tmp_path: Path) -> None:
    folder = voc(tmp_path, {"1": ["cat"], "2": [""]})
    with pytest.raises(TrainingSetUnusable, match=r"2\.xml has an object without a name"):
        list(read_images([folder]))
    (folder / "Annotations" / "2.xml").write_text("<annotation>")
    with pytest.raises(TrainingSetUnusable, match=r"2\.xml is not XML"):
        list(read_images([folder]))
    for name in ("train", "val"):
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("1\n")
    with pytest.raises(TrainingSetUnusable, match=r"has 1 in train\.txt and in val\.txt"):
        list(read_images([folder]))
    (folder / "ImageSets" / "Main" / "val.txt").write_text("9\n")
    with pytest.raises(TrainingSetUnusable, match=r"9\.xml cannot be opened"):
        list(read_images([folder]))


def test_an_empty_class_folder_is_refused_a_hidden_one_ignored(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/notes.txt", ".trash/x.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(TrainingSetUnusable, match=r"/dog has no image"):
        list(read_images([tmp_path]))
    (tmp_path / "dog" / "2.png").write_bytes(b"")
    assert [each.label for each in read_images([tmp_path])] == ["cat", "dog"]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize(
    ("closed", "mode"),
    [("cat", 0), ("cat", 0o444), ("cat/inner", 0), ("cat/inner", 0o444), (".", 0), (".", 0o444), ("cat/1.png", 0)],
)
def test_what_may_not_be_read_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, closed: str, mode: int
) -> None:
    folder = tmp_path_factory.mktemp("closed")
    for name in ("cat/1.png", "cat/inner/2.png", "dog/3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    for above in folder.parents:  # pytest's folders are for their owner only
        if above.stat().st_uid == os.geteuid() and len(above.parts) > 2:
            above.chmod(above.stat().st_mode | 0o011)
    folder.chmod(0o755)
    (folder / closed).chmod(mode)
    try:
        with as_nobody(), pytest.raises(TrainingSetUnusable, match="Permission denied"):
            list(read_images([folder]))
    finally:
        (folder / closed).chmod(0o755)


def test_all_images_of_a_source_may_be_put_on_one_side(tmp_path: Path) -> None:
    tar = shard(tmp_path / "val.tar", {"cat/1.jpg": b"cat"})
    assert [each.split for each in read_images([tar], "validation")] == ["validation"]


def test_an_image_of_several_labels_has_not_one_and_says_so(tmp_path: Path) -> None:
    [image] = read_images([voc(tmp_path, {"1": ["cat", "sofa"]})])
    with pytest.raises(TrainingSetUnusable, match=r"1\.jpg has 2 labels \(cat, sofa\)"):
        _ = image.label
