"""Captioned pictures: a list and a folder or tar beside it, and every way in which they do not fit."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import SHARED_DATA, need
from trainer.data_sets.captions import read_captioned, survey_captions
from trainer.data_sets.survey import group_of, held_out
from trainer.errors import TrainingSetUnusable

FLICKR = SHARED_DATA / "everyday"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "more/c.png"):
        (folder / name).write_bytes(f"picture {name}".encode())
    (folder / "notes.txt").write_text("no picture")
    return folder


def listed(folder: Path, content: str | bytes) -> Path:
    file = folder.parent / "captions.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def tarred(folder: Path, prefix: str = "") -> Path:
    path = folder.parent / "pictures.tar"
    with tarfile.open(path, "w") as tar:
        for each in sorted(folder.rglob("*")):
            tar.add(each, prefix + each.relative_to(folder).as_posix(), recursive=False)
    return path


GOOD = 'path,caption\na.jpg,A dog .\nmore/c.png,A cat\na.jpg,"A dog, running"\nb.jpg,A bird\n'


@pytest.mark.parametrize("prefix", [None, "", "./"])
def test_captions_come_with_their_pictures(pictures: Path, prefix: str | None) -> None:
    found = survey_captions(pictures if prefix is None else tarred(pictures, prefix), listed(pictures, GOOD))
    assert found.findings == ()
    images = {each.path: (each.content, each.captions) for each in read_captioned(found)}
    assert images == {
        "a.jpg": (b"picture a.jpg", ("A dog .", "A dog, running")),
        "b.jpg": (b"picture b.jpg", ("A bird",)),
        "more/c.png": (b"picture more/c.png", ("A cat",)),
    }
    assert [each.path for each in read_captioned(found, {"b.jpg", "x.jpg"})] == ["b.jpg"]


def test_what_spreadsheets_write_is_read_too(pictures: Path) -> None:
    content = b"\xef\xbb\xbfPath,Caption,Stars\r\n./a.jpg,Ein s\xc3\xbc\xc3\x9fer Hund,5\r\n\r\nb.jpg,Vogel,4\r\n"
    assert survey_captions(pictures, listed(pictures, content)).captions == {
        "a.jpg": ("Ein süßer Hund",),
        "b.jpg": ("Vogel",),
    }


def test_mismatches_are_counted_and_reported(pictures: Path) -> None:
    content = "path,caption\na.jpg,A dog\na.jpg, \nb.jpg,\nx.jpg,Nobody\nx.jpg,None\ny.jpg,None\n"
    found = survey_captions(pictures, listed(pictures, content))
    assert found.captions == {"a.jpg": ("A dog",)}
    assert found.findings == (
        "empty captions, skipped: 2 (line 3, 4)",
        "pictures without a caption, left out: 1 (b.jpg)",
        f"captioned pictures that are not in {pictures}: 2 (line 5: x.jpg, line 7: y.jpg)",
        f"pictures that {found.file} does not name, left out: 1",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,caption\na.jpg,A dog\n", "line 1 has no column path. Write a CSV with commas"),
        ("a.jpg,A dog\n", "line 1 has no column path and no column caption"),
        ("path;caption\na.jpg;A dog\n", "line 1 seems to separate its columns by semicolons"),
        ("path\tcaption\na.jpg\tA dog\n", "line 1 seems to separate its columns by tabs"),
        ("", "line 1 has no column"),
        ("path,caption\n", "captions nothing"),
        ("path,caption\na.jpg,A dog, running\n", "line 2 has not 2 values"),
        ("path,caption\n" + "a.jpg,A dog, x\n" * 7 + "a.jpg\n", r"8 lines \(2, 3, 4, 5, 6 and 3 more\) have not 2"),
        ('path,caption\na.jpg,A cat\nb.jpg,"A dog\nb.jpg,x\n', "line 3 is not CSV"),
        ('path,caption\na.jpg,"A" dog\n', "line 2 is not CSV"),
        ('path,caption\n"a.jpg","A\ncat"\n,A dog\n', "line 4 has no path"),
        ("path,caption\na.jpg,A dog\nb.jpg,süß\n".encode("latin-1"), "line 3 is not UTF-8. Save it as UTF-8"),
        ("path,caption\na.jpg,A dog\n".encode("utf-16"), "line 1 is not UTF-8"),
        ("path,caption\nx/a.jpg,A dog\n", r"no captioned picture in common: line 2 names x/a\.jpg, .* has a\.jpg"),
        ("path,caption\na.jpg,\n", "no captioned picture in common"),
    ],
)
def test_a_malformed_list_is_refused_by_its_line(pictures: Path, content: str | bytes, message: str) -> None:
    file = listed(pictures, content)
    with pytest.raises(TrainingSetUnusable, match=message) as refused:
        survey_captions(pictures, file)
    assert str(file) in str(refused.value)


def test_what_is_not_there_or_no_tar_is_refused(pictures: Path) -> None:
    file = listed(pictures, GOOD)
    for images, captions in ((pictures / "no", file), (pictures, pictures / "no.csv"), (file, file)):
        with pytest.raises(TrainingSetUnusable, match=r"There is no|not a tar file"):
            survey_captions(images, captions)


@given(
    st.dictionaries(
        st.sampled_from(["a.jpg", "b.jpg", "more/c.png"]),
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=3),
        min_size=1,
    )
)
def test_any_captions_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, captions: dict) -> None:
    folder = tmp_path_factory.mktemp("set") / "pictures"
    for path in ("a.jpg", "b.jpg", "more/c.png"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    text = io.StringIO(newline="")
    rows = [(path, each) for path, of_path in captions.items() for each in of_path]
    csv.writer(text).writerows([("path", "caption"), *rows])
    stripped = {path: tuple(filter(None, map(str.strip, of_path))) for path, of_path in captions.items()}
    wanted = {path: of_path for path, of_path in stripped.items() if of_path}
    if not wanted:
        with pytest.raises(TrainingSetUnusable):
            survey_captions(folder, listed(folder, text.getvalue()))
    else:
        found = survey_captions(folder, listed(folder, text.getvalue()))
        assert found.captions == wanted
        assert len(found.empty_lines) == len(rows) - sum(map(len, wanted.values()))


def test_a_scene_is_the_front_of_a_file_name() -> None:
    assert group_of("1000268201_693b08cb0e.jpg") == group_of("more/1000299999.png") == "10002"
    assert group_of("ab.jpg") == "ab"
    assert group_of("x/1000268201.jpg", 3) == "100"
    assert group_of("x/1000268201.jpg", 0) == "x/1000268201.jpg"


NAMES = st.lists(st.from_regex(r"[0-9]{4,7}\.jpg", fullmatch=True), max_size=60, unique=True)


@given(NAMES, st.floats(0, 1), st.floats(0, 1), st.integers(0, 3), st.integers(0, 6))
def test_scenes_never_lie_on_both_sides(paths: list[str], one: float, other: float, seed: int, front: int) -> None:
    less, more = (set(held_out(paths, share, seed, front)) for share in sorted((one, other)))
    assert less <= more
    assert not {group_of(path, front) for path in more} & {group_of(path, front) for path in set(paths) - more}
    assert set(held_out(reversed(paths[::2]), max(one, other), seed, front)) == more & set(paths[::2])
    assert (set(held_out(paths, 0)), set(held_out(paths, 1))) == (set(), set(paths))


def test_about_the_share_of_scenes_is_held_out() -> None:
    paths = [f"{number:05}x.jpg" for number in range(2_000)]
    assert 340 < len(held_out(paths, 0.2)) < 460
    assert set(held_out(paths, 0.2)) != set(held_out(paths, 0.2, seed=1))


def test_flickr8k_is_read_whole() -> None:
    need(FLICKR.is_dir(), f"{FLICKR} is not there, and has Flickr8k: set SEMSEARCH_SHARED_DATA")
    found = survey_captions(FLICKR / "flickr8k.tar", FLICKR / "flickr8k_captions.csv")
    assert found.findings == ()
    assert {len(each) for each in found.captions.values()} == {5}
    some = set(list(found.captions)[:50])
    assert sum(each.content.startswith(b"\xff\xd8") for each in read_captioned(found, some)) == 50
    held = held_out(found.captions, 0.2)
    assert 0.17 < len(held) / len(found.captions) < 0.23
