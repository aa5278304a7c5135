"""A file that is read again when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from serving.watched_file import UnusableFile, WatchedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "number"
    path.write_text("1", encoding="utf-8")
    return path


def number_in(path: Path) -> WatchedFile[int]:
    return WatchedFile(path, int, ValueError)


def test_a_changed_file_is_read_again_however_fast_it_changes(path: Path) -> None:
    file = number_in(path)
    for number in (2, 3):
        path.write_text(str(number), encoding="utf-8")
        file.look()
        assert file.content == number
    other = path.with_name("other")
    other.write_text("4", encoding="utf-8")
    other.replace(path)
    file.look()
    assert file.content == 4


def test_the_last_good_content_stays_and_the_problem_is_logged_once(path: Path) -> None:
    file = number_in(path)
    with capture_logs() as logs:
        path.write_text("one", encoding="utf-8")
        file.look()
        file.look()
        assert file.content == 1
        path.unlink()
        file.look()
        file.look()
        assert file.content == 1
    assert [each["error"] for each in logs] == [
        "invalid literal for int() with base 10: b'one'",
        "No such file or directory",
    ]
    with capture_logs() as logs:
        path.write_text("1", encoding="utf-8")
        file.look()
        path.write_text("one", encoding="utf-8")
        file.look()
    assert [each["log_level"] for each in logs] == ["error"]


def test_a_metric_says_whether_a_file_is_unusable(path: Path) -> None:
    def measured() -> float | None:
        return REGISTRY.get_sample_value("semsearch_file_unusable", {"file": str(path)})

    file = number_in(path)
    assert measured() == 0  # from the start, so that an alert sees it change
    for content, unusable in (("one", 1), ("1", 0)):
        path.write_text(content, encoding="utf-8")
        file.look()
        assert measured() == unusable


@pytest.mark.parametrize("content", ["one", None])
def test_a_start_needs_a_good_file(path: Path, content: str | None) -> None:
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UnusableFile, match="number cannot be used"):
        number_in(path)
