"""A manifest knows what is done, whatever stops the process, and lists again only what is new, changed or failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from semsearch.errors import InvalidRequest
from semsearch.ingest.manifest import Manifest, ShardOutcome, open_shards
from semsearch.ingest.places import ListedFile

FILES = [ListedFile(f"{number:02}.png", "1") for number in range(10)]


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    with opened(tmp_path) as manifest:
        yield manifest


def opened(folder: Path, place: str = "photos") -> Manifest:
    return Manifest(folder / "manifest", place, "c")


def shards(manifest: Manifest) -> dict[int, list[str]]:
    return {number: [file.path for file in files] for number, files in open_shards(manifest.file)}


def all_done(manifest: Manifest, **problems: str) -> None:
    for number, paths in shards(manifest).items():
        here = {f"{path}.png": why for path, why in problems.items() if f"{path}.png" in paths}
        manifest.record(ShardOutcome(number, len(paths) - len(here), 0, here))


def test_a_listing_becomes_shards_that_are_done_one_by_one(manifest: Manifest, tmp_path: Path) -> None:
    assert manifest.list_files(FILES, 4) == 10
    assert [len(paths) for paths in shards(manifest).values()] == [4, 4, 2]
    manifest.record(ShardOutcome(1, 3, 1, {}))
    manifest.close()
    with opened(tmp_path) as again:
        assert list(shards(again)) == [0, 2]
        counts = again.counts()
        assert (counts.left, counts.added, counts.present, counts.failed) == (6, 3, 1, 0)


def test_a_listing_that_breaks_off_leaves_nothing(manifest: Manifest) -> None:
    def breaking_off() -> Iterator[ListedFile]:
        yield from FILES
        raise OSError("The disk is gone")

    with pytest.raises(OSError, match="gone"):
        manifest.list_files(breaking_off(), 4)
    assert shards(manifest) == {}
    assert manifest.list_files(FILES) == 10


def test_new_changed_and_failed_files_are_listed_again(manifest: Manifest) -> None:
    manifest.list_files(FILES, 4)
    all_done(manifest, **{"03": "Permission denied"})
    assert list(manifest.problems()) == [("03.png", "Permission denied")]
    files = [ListedFile("00.png", "2"), *FILES[1:], ListedFile("10.png", "1"), ListedFile("dir", "", problem="denied")]
    assert manifest.list_files(files, 4) == 3
    assert list(shards(manifest).values()) == [["00.png", "03.png", "10.png"]]
    assert list(manifest.problems()) == [("dir", "denied")]
    all_done(manifest)
    assert manifest.list_files(FILES[1:]) == 0
    assert manifest.counts().left == 0


def test_a_manifest_belongs_to_one_job_and_one_process(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Another process"):
        opened(tmp_path)
    manifest.close()
    with pytest.raises(InvalidRequest, match="is for photos into c"):
        opened(tmp_path, "pictures")
    (tmp_path / "other").write_text("no database " * 100)
    with pytest.raises(InvalidRequest, match="is not a manifest"):
        Manifest(tmp_path / "other", "photos", "c")


def test_a_failed_file_that_is_gone_is_forgotten(manifest: Manifest) -> None:
    manifest.list_files(FILES)
    all_done(manifest, **{"03": "Not an image"})
    assert manifest.list_files([file for file in FILES if file.path != "03.png"]) == 0
    assert manifest.counts().failed == 0


def test_a_manifest_that_could_not_be_created_completely_can_be_created_again(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        opened(tmp_path, "not Unicode \udcff")
    with opened(tmp_path) as manifest:
        assert manifest.list_files(FILES) == 10
