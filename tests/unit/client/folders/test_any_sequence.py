"""After any sequence of changes to two folders, a sync leaves what a dictionary says should be found."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from semsearch.errors import FolderStopped, ServerUnreachable
from semsearch.folders.roots import root_of
from semsearch.folders.state import FolderState
from semsearch.folders.sync import FolderSync

from tests.unit.client.folders.gallery_double import NO_IMAGE, GalleryDouble, sha256

ROOTS = st.sampled_from(["a", "b"])
PATHS = st.sampled_from(["1.png", "2.png", "d/1.png", "d/e/3.png", "4.png"])
# All have the same size and time, so only their bytes differ.
CONTENTS = st.sampled_from([b"image one", b"image two", b"image six", b"image ten", NO_IMAGE + b"!"])
TIME = 1_700_000_000


# What people do between two syncs, as the name of a method of `Folders` and its arguments.
CHANGES = st.one_of(
    st.tuples(st.just("write"), ROOTS, PATHS, CONTENTS),
    st.tuples(st.just("move"), ROOTS, PATHS, ROOTS, PATHS),
    st.tuples(st.just("copy"), ROOTS, PATHS, ROOTS, PATHS),
    st.tuples(st.just("delete"), ROOTS, PATHS),
    st.tuples(st.sampled_from(["unmount", "remount", "forget"]), ROOTS),
)
STEPS = st.tuples(
    st.lists(CHANGES, min_size=1, max_size=5),
    ROOTS,
    st.sampled_from(["index", "sync", "delete"]),
    st.none() | st.integers(0, 6),
)


class Folders:
    """Two folders, a gallery in memory, and `expected`: for each place, the hash of what should be found there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gallery = GalleryDouble()
        self.state = FolderState(folder / "state")
        self.expected: dict[str, str] = {}
        for number, name in enumerate(["a", "b"]):
            for path in ("1.png", "d/1.png", "4.png"):
                self.write(name, path, f"image {number}{path}".encode())

    def write(self, root: str, path: str, content: bytes) -> None:
        file = self.folder / root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (TIME, TIME))

    def copy(self, root: str, path: str, to_root: str, to_path: str) -> None:
        source, target = self.folder / root / path, self.folder / to_root / to_path
        if source.exists() and source != target:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)

    def move(self, root: str, path: str, to_root: str, to_path: str) -> None:
        if (root, path) != (to_root, to_path):
            self.copy(root, path, to_root, to_path)
            self.delete(root, path)

    def delete(self, root: str, path: str) -> None:
        (self.folder / root / path).unlink(missing_ok=True)

    def unmount(self, root: str) -> None:
        self.remount(root)
        if (self.folder / root).exists():
            (self.folder / root).rename(self.folder / f"{root} away")
            if root == "a":  # b leaves no folder behind
                (self.folder / root).mkdir()

    def remount(self, root: str) -> None:
        away = self.folder / f"{root} away"
        if away.exists():
            shutil.rmtree(self.folder / root, ignore_errors=True)
            away.rename(self.folder / root)

    def forget(self, _: str) -> None:
        """Lose the saved state."""
        self.close()
        shutil.rmtree(self.folder / "state")
        self.state = FolderState(self.folder / "state")

    def close(self) -> None:
        self.state.__exit__()

    def sync(self, root: str, mode: str, calls: int | None) -> None:
        """Run the command, first with a server that stops after some calls; check the result."""
        found = self._found(root)
        if found is None or (mode != "index" and self._stops(root, found)):
            self._run_and_stop(root, mode)
            return
        if calls is not None:
            self.gallery.before_call = self._break_after(calls)
            try:
                self._run(root, mode)
            except ServerUnreachable:
                pass
            except FolderStopped:
                assert self._may_stop(root, found)
            finally:
                self.gallery.before_call = lambda: None
        try:
            self._run(root, mode)
        except FolderStopped:
            # Where the interrupted run replaced files, more than half of what is left may be gone.
            assert calls is not None or self._may_stop(root, found)
            self._run(root, mode, force=True)
        self._expect(root, found, remove=mode == "delete")
        assert self.gallery.places() == self.expected
        # The same holds for the next run.
        if mode != "index" and self._stops(root, found):
            self._run_and_stop(root, mode)
        else:
            try:
                self._run(root, mode)
            except FolderStopped:
                assert self._may_stop(root, found)
        assert self.gallery.places() == self.expected

    def _run_and_stop(self, root: str, mode: str) -> None:
        before = dict(self.gallery.images)
        with pytest.raises(FolderStopped):
            self._run(root, mode)
        assert self.gallery.images == before

    def _run(self, root: str, mode: str, *, force: bool = False) -> None:
        keeping = FolderSync(self.gallery, self.state, root_of(self.folder / root, "", "server", "c"), force=force)
        for _ in keeping.run(None if mode == "index" else lambda _: mode == "delete"):
            pass

    def _break_after(self, calls: int) -> Callable[[], None]:
        left = [calls]

        def call() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise ServerUnreachable("No semsearch answers.")

        return call

    def _found(self, root: str) -> dict[str, bytes] | None:
        folder = self.folder / root
        if not folder.exists():
            return None
        return {f"{root}/{file.relative_to(folder)}": file.read_bytes() for file in folder.rglob("*.png")}

    def _of_root(self, root: str) -> dict[str, str]:
        return {place: digest for place, digest in self.expected.items() if place.startswith(f"{root}/")}

    def _may_stop(self, root: str, found: dict[str, bytes]) -> bool:
        """Return whether it stops if bytes that the server would refuse count as an edit."""
        return self._stops(root, {place: content.removeprefix(NO_IMAGE) for place, content in found.items()})

    def _stops(self, root: str, found: dict[str, bytes]) -> bool:
        known = self._of_root(root)
        vanished = {digest for place, digest in known.items() if place not in found}
        # A file whose bytes are refused keeps the image that its place had.
        kept = {known[place] for place, content in found.items() if content.startswith(NO_IMAGE) and place in known}
        gone = vanished - {sha256(content) for content in found.values()}
        return bool(known.keys() - found.keys()) and (not found or 2 * len(gone - kept) > len(set(known.values())))

    def _expect(self, root: str, found: dict[str, bytes], *, remove: bool) -> None:
        images = {place: sha256(content) for place, content in found.items() if not content.startswith(NO_IMAGE)}
        for place, digest in self._of_root(root).items():
            is_gone = place not in found and digest not in images.values()
            if place not in found and (remove or not is_gone):
                del self.expected[place]
        self.expected |= images


# An image had two files: one is gone, and the other is edited, which is known only when it is read.
EDITED_AND_GONE = [
    ([("write", "a", "1.png", b"image one"), ("write", "a", "d/1.png", b"image one")], "a", "index", None),
    ([("unmount", "a"), ("write", "a", "1.png", b"image two")], "a", "sync", None),
]
# The same, and the server refuses the edited file.
REFUSED_AND_GONE = [
    ([("copy", "a", "1.png", "a", "d/1.png")], "a", "index", None),
    ([("delete", "a", "1.png"), ("delete", "a", "4.png"), ("write", "a", "d/1.png", NO_IMAGE)], "a", "sync", None),
]

# The same, and the server stops answering.
REFUSED_AND_GONE_AND_BROKEN_OFF = [(*step, None if step[2] == "index" else 1) for *step, _ in REFUSED_AND_GONE]


@example(steps=EDITED_AND_GONE)
@example(steps=REFUSED_AND_GONE)
@example(steps=REFUSED_AND_GONE_AND_BROKEN_OFF)
@settings(max_examples=50, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=6))
def test_any_sequence_of_changes_ends_in_step(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        folders = Folders(Path(folder))
        try:
            for changes, root, mode, calls in [([], "a", "index", None), ([], "b", "index", None), *steps]:
                for name, *arguments in changes:
                    getattr(folders, name)(*arguments)
                folders.sync(root, mode, calls)
        finally:
            folders.close()
