"""Fill the default collection with the shipped gallery on the first start.

The file `launcher/gallery` in the data folder records the progress:

    (no file)  not begun: an empty collection is filled; any other holds a user's own images and is left alone
    filling    begun: the next start continues, and does not send images again that are already there
    done       nothing left to do, even if images have been deleted since or were not wanted
"""

from __future__ import annotations

import enum
import json
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from semsearch import Retries, Tls
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
from semsearch.transport.server import Token

from serving.durable_files import write_file

TRUTH = "truth.jsonl"
# A name that no folder of a user is likely to have: each root of a collection has its own.
_ROOT = "starter"
_SHOWN = ("label", "setting")
# The launcher starts no service again while it fills, so nothing is gained by waiting longer.
_RETRIES = Retries(patience=3.0)


class FillState(enum.Enum):
    """The progress of the filling."""

    NOT_BEGUN = ""
    FILLING = "filling"
    DONE = "done"


class StarterGallery:
    """The shipped gallery in `folder`, to be added to the default collection."""

    def __init__(self, folder: Path, data: Path, console: Console) -> None:
        self._folder = folder
        self._marker = data / "launcher" / "gallery"
        self._console = console

    @property
    def state(self) -> FillState:
        """The progress, as recorded in the data folder."""
        try:
            return FillState(self._marker.read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            return FillState.NOT_BEGUN

    def leave_out(self) -> None:
        """Record that the images are not wanted, now and at later starts."""
        self._set(FillState.DONE)

    def fill(self, server: str, tls: bool | Tls = False, token: Token | None = None) -> None:
        """Fill the collection at `server` unless that is done; print what happened and what failed.

        If this is interrupted or fails, the images already added stay and the next start continues.
        """
        if self.state is FillState.DONE:
            return
        if not self._folder.is_dir():
            self._console.print(f"The folder {self._folder} does not exist, so the collection stays as it is.")
            return
        try:
            with Client(server, tls=tls, token=token, retries=_RETRIES) as client:
                if self.state is FillState.NOT_BEGUN and client.get_collection(DEFAULT_COLLECTION).image_count:
                    self._set(FillState.DONE)
                    return
                self._set(FillState.FILLING)
                results = self._send(client, server)
        except KeyboardInterrupt:
            self._console.print(
                "The gallery is incomplete. The images already added stay, and the next start continues."
            )
            raise
        except SemsearchError as error:
            self._console.print(f"The gallery is incomplete; the next start continues. {error.message} {error.hint}")
            return
        if failed := [each for each in results if each.outcome is Outcome.FAILED]:
            self._console.print(f"{len(failed)} images of the gallery could not be added; the next start retries them.")
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
            + (f", {there} were already there." if there else ".")
        )
        return results

    def _set(self, state: FillState) -> None:
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._marker, state.value.encode())


def _truth(folder: Path) -> AttributesOf:
    """Return a function that gives each image its label and setting, as the gallery's list has them."""
    file = folder / TRUTH
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    known = {entry["file"]: {name: entry[name] for name in _SHOWN} for entry in map(json.loads, lines)}
    return lambda path: known.get(path, {})
