"""Folders to keep in step with a collection in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from semsearch.folders.exclusions import Exclusions
from semsearch.folders.results import FileResult, Outcome
from semsearch.folders.roots import root_of
from semsearch.folders.state import FolderState
from semsearch.folders.sync import FolderSync

from tests.unit.client.folders.gallery_double import GalleryDouble


def write(folder: Path, **contents: str) -> None:
    """Write files; `d__a_png` is d/a.png."""
    for name, content in contents.items():
        file = folder / name.replace("__", "/").replace("_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


@dataclass
class Bench:
    """A gallery, and folders below `folder`."""

    folder: Path
    gallery: GalleryDouble
    state: FolderState

    def root(self, name: str = "photos") -> Path:
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    def of(self, name: str = "photos", *globs: str, **options: Any) -> FolderSync:
        root = root_of(self.folder / name, "", "server", "c")
        return FolderSync(self.gallery, self.state, root, Exclusions(globs), **options)

    def sync(self, name: str = "photos", *, delete: bool | None = True, **options: Any) -> list[FileResult]:
        """Run a sync; `delete` None checks nothing."""
        return list(self.of(name, **options).run(None if delete is None else lambda _: bool(delete)))

    def count(self, name: str = "photos", **options: Any) -> dict[str, int]:
        """Run a sync and count outcomes."""
        found: Counter[Outcome] = Counter(result.outcome for result in self.sync(name, **options))
        return {outcome.value: number for outcome, number in found.items()}

    def places(self) -> list[str]:
        return sorted(self.gallery.places())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with FolderState(tmp_path / "state") as state:
        yield Bench(tmp_path, GalleryDouble(), state)
