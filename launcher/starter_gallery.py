"""Fill the default collection with the gallery that ships, the first time.

How far it came stands in the file `launcher/gallery` of the data folder:

    (no file)  not begun: it is filled if the collection is empty, else it holds somebody's own images and is left alone
    filling    begun: the next start continues, and does not send again what is there
    done       nothing to do any more, also where images were deleted since
"""

from __future__ import annotations

import enum
import json
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from semsearch.cli.progress import progress_bar
from semsearch.client import DEFAULT_COLLECTION, Client
from semsearch.errors import SemsearchError
from semsearch.folders.exclusions import Exclusions
from semsearch.folders.results import FileResult, Outcome
from semsearch.folders.roots import root_of
from semsearch.folders.scan import Found, Scan
from semsearch.folders.state import FolderState
from semsearch.folders.sync import FolderSync
from semsearch.folders.uploads import AttributesOf

from serving.durable_files import write_file

TRUTH = "truth.jsonl"
# A name that no folder of a user is likely to have: each root of a collection has its own.
_ROOT = "starter"
_SHOWN = ("label", "setting")


class FillState(enum.Enum):
    """How far the filling came."""

    NOT_BEGUN = ""
    FILLING = "filling"
    DONE = "done"


class StarterGallery:
    """The gallery that ships in `folder`, to be brought into the collection behind `server`."""

    def __init__(self, folder: Path, data: Path, console: Console) -> None:
        self._folder = folder
        self._marker = data / "launcher" / "gallery"
        self._console = console

    @property
    def state(self) -> FillState:
        """Returns how far it came."""
        try:
            return FillState(self._marker.read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            return FillState.NOT_BEGUN

    def fill(self, server: str) -> None:
        """Fill the collection if that is still to be done; print what happened and what failed.

        Nothing that was added is lost if this is interrupted or fails: the next start continues.
        """
        if self.state is FillState.DONE:
            return
        if not self._folder.is_dir():
            self._console.print(f"There is no folder {self._folder}, so the collection stays as it is.")
            return
        try:
            with Client(server) as client:
                if self.state is FillState.NOT_BEGUN and client.get_collection(DEFAULT_COLLECTION).image_count:
                    self._set(FillState.DONE)
                    return
                self._set(FillState.FILLING)
                results = self._send(client, server)
        except KeyboardInterrupt:
            self._console.print("The gallery is not filled yet. What was added stays, and the next start goes on.")
            raise
        except SemsearchError as error:
            self._console.print(f"The gallery is not filled yet; the next start goes on. {error.message} {error.hint}")
            return
        if failed := [each for each in results if each.outcome is Outcome.FAILED]:
            self._console.print(f"{len(failed)} images of the gallery could not be added; the next start tries again.")
            self._console.print(f"The first is {failed[0].path}: {failed[0].problem}")
        else:
            self._set(FillState.DONE)

    def _send(self, client: Client, server: str) -> list[FileResult]:
        count = sum(isinstance(entry, Found) for entry in Scan(self._folder, Exclusions()))
        started = time.monotonic()
        self._console.print(f"Filling the gallery with the {count} images of {self._folder} ...")
        results: list[FileResult] = []
        root = root_of(self._folder, _ROOT, server, DEFAULT_COLLECTION)
        with FolderState(self._marker.parent) as state, progress_bar(self._console) as progress:
            bar = progress.add_task("filling the gallery", total=count)
            for result in FolderSync(client, state, root, attributes_of=_truth(self._folder)).run():
                if result.outcome is not Outcome.PASSED_OVER:
                    results.append(result)
                    progress.advance(bar)
        counts = Counter(result.outcome for result in results)
        there = len(results) - counts[Outcome.ADDED] - counts[Outcome.FAILED]
        self._console.print(
            f"{counts[Outcome.ADDED]} images added in {time.monotonic() - started:.1f} s"
            + (f", {there} were there." if there else ".")
        )
        return results

    def _set(self, state: FillState) -> None:
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._marker, state.value.encode())


def _truth(folder: Path) -> AttributesOf:
    """Return a function that gives each image its label and setting from the gallery's own list."""
    file = folder / TRUTH
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    known = {entry["file"]: {name: entry[name] for name in _SHOWN} for entry in map(json.loads, lines)}
    return lambda path: known.get(path, {})
