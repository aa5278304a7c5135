from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from index_service.replication import segment_fetcher as module
from index_service.replication.segment_fetcher import SegmentFetcher


class Index:
    """A copy of an index in a folder, which notes what it adopts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definition = SimpleNamespace(name="one")
        self.manifest = SimpleNamespace(segments=())
        self.adopted: list[Any] = []

    def adopt(self, records: list[Any]) -> None:
        self.adopted = records

    def repaired(self) -> None:
        """Do nothing; it was never damaged."""


def test_segments_that_were_fetched_for_another_copy_of_an_index_are_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fetch(place: object, segment: Any, folder: Path) -> Any:
        return SimpleNamespace(name=segment.name, folder=folder)

    monkeypatch.setattr(module, "fetch_segment", fetch)
    place: Any = SimpleNamespace(get_record=lambda kind, blob: SimpleNamespace(name=blob))
    manifest: Any = SimpleNamespace(name="one", segments=("segment-1",))
    before: Any = Index(tmp_path / "before")
    after: Any = Index(tmp_path / "after")
    fetcher = SegmentFetcher(place)
    try:
        fetcher.bring(before, manifest, is_served=True)
        fetcher._fetching["one"].result(60)
        fetcher.bring(after, manifest, is_served=False)
    finally:
        fetcher.close()

    assert [record.folder for record in after.adopted] == [tmp_path / "after"]
    assert not fetcher.are_waiting
