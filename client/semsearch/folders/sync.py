"""Brings a collection in step with a folder.

1. `compare` lists the root's images on the server while it scans the folder.
2. `check` stops if most files are gone, because a disk may be missing.
3. `send` reads new and changed files, and uploads the bytes that the collection lacks.
4. `settle` changes the places of images whose files were renamed, copied or edited.
5. `remove_gone` or `keep_gone` handles the files that are gone.

Each step can be interrupted at any moment; the next run does the rest. An image that is replaced or moved always has a
place: the new one is stored before the old one is removed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import PurePosixPath

from semsearch.errors import FolderStopped
from semsearch.folders.changes import PlaceChange, apply
from semsearch.folders.exclusions import Exclusions
from semsearch.folders.gallery import Gallery
from semsearch.folders.listing import Listing
from semsearch.folders.path_text import to_text
from semsearch.folders.reading import NotRead
from semsearch.folders.results import FileResult, Outcome, Reason, passed_over
from semsearch.folders.roots import Root
from semsearch.folders.scan import Found, Scan
from semsearch.folders.state import FolderState
from semsearch.folders.uploads import AttributesOf, FileReader, Uploads
from semsearch.values import Attributes

# These files were deliberately left out of the collection. Any other file that was passed over may be an image again
# later, and keeps its image.
_NOT_WANTED = frozenset({Reason.OTHER_SUFFIX, Reason.VIDEO, Reason.HIDDEN, Reason.EXCLUDED, Reason.LINK})
_ROOT_MOUNT = ""
_RESTORE = (
    "If the disk is not mounted or files are missing by mistake, restore them and run this again. To remove the "
    "images, add --delete --force. To add files only, use `semsearch index`."
)

MayRemove = Callable[[int], bool]


def no_attributes(_: str) -> Attributes:
    """Add nothing to the attributes that every image has."""
    return {}


class FolderSync:
    """Keeps one root in step, in successive runs. Every method raises `SemsearchError`.

    `attributes_of` adds attributes to an image when it is uploaded. `force` continues where `check` would stop, and
    where another disk was mounted before. With `reference`, originals stay where they are: the server keeps only a
    thumbnail and the place of each added image.
    """

    def __init__(
        self,
        client: Gallery,
        state: FolderState,
        root: Root,
        exclusions: Exclusions | None = None,
        attributes_of: AttributesOf = no_attributes,
        *,
        force: bool = False,
        reference: bool = False,
    ) -> None:
        self.root = root
        self._client = client
        self._state = state
        self._reader = FileReader(state, root)
        self._exclusions = exclusions or Exclusions()
        self._attributes_of = attributes_of
        self._force = force
        self._reference = reference
        self._listing: Listing | None = None
        self._refused: dict[bytes, tuple[str, str]] = {}
        self._hashes: dict[str, bytes] = {}
        self._pending: list[str] = []
        self._protected: set[str] = set()
        self._vanished: list[str] = []
        self._uploads: Uploads | None = None
        self._gone: dict[bytes, PlaceChange] = {}

    @property
    def file_count(self) -> int:
        """Return how many image files have been found so far."""
        return len(self._hashes)

    def forget_listing(self) -> None:
        """List the server's images again in the next run: they may have changed, or uploads may have been lost."""
        self._listing = None

    def run(self, may_remove: MayRemove | None = None) -> Iterator[FileResult]:
        """Do all steps and yield the result of each file.

        `may_remove` is called with the number of images whose files are gone. Without it they stay, and `check` is
        skipped.
        """
        yield from self.compare()
        if may_remove is not None:
            self.check()
        yield from self.send()
        yield from self.settle()
        if self._gone and may_remove is not None and may_remove(len(self._gone)):
            yield from self.remove_gone()
        else:
            yield from self.keep_gone()

    def compare(self) -> Iterator[FileResult]:
        """Find the differences; yield the files that are unchanged or passed over."""
        folder = self.root.folder
        self._state.save()
        listed = _in_background(lambda: self._listing or Listing.of(self._client, self.root))
        self._hashes, self._pending, self._protected, self._gone = {}, [], set(), {}
        mounts = set() if self._force else self._state.mounts_of(folder)
        try:
            mounted = os.path.ismount(folder)
            if _ROOT_MOUNT in mounts and not mounted:
                raise self._stopped("is on a disk that is not mounted", "NOT_MOUNTED", "Mount it, and run this again.")
            scan = Scan(folder, self._exclusions, mounts - {_ROOT_MOUNT})
            for entry in scan:
                if isinstance(entry, Found):
                    self._hashes[entry.path] = self._state.hash_of(folder, entry.path, entry.stamp) or b""
                    continue
                if entry.reason not in _NOT_WANTED:
                    self._protected.add(entry.path)
                yield passed_over(entry.path, entry.reason, entry.problem)
        except OSError as error:
            problem = f"cannot be read: {error.strerror or error}"
            hint = "Mount its disk and run this again, or give another folder."
            raise self._stopped(problem, "FOLDER_UNREADABLE", hint) from error
        now_mounted = scan.mounts | (mounts - {_ROOT_MOUNT}) | ({_ROOT_MOUNT} if mounted else set())
        if now_mounted != mounts or self._force:
            self._state.set_mounts(folder, now_mounted)
        self._state.forget_hashes(folder, lambda path: path in self._hashes or self._is_protected(path))
        self._listing = listing = listed.result()
        self._vanished = [path for path in listing if path not in self._hashes and not self._is_protected(path)]
        for path, sha256 in self._hashes.items():
            if sha256 and listing.is_only(path, sha256):
                yield FileResult(path, Outcome.UNCHANGED, sha256.hex())
            else:
                self._pending.append(path)

    def check(self) -> None:
        """Stop if a disk may be missing.

        Raises:
            FolderStopped: No file is left, or more than half of the images would be removed.
        """
        if not self._vanished or self._force:
            return
        listing = self._known
        total = len(listing.hashes())
        if not self._hashes:
            problem = f"has no images, but the collection {self.root.collection} has {total:,} images from it"
            raise self._stopped(problem, "FOLDER_EMPTY")
        if 2 * len(self._missing(unread_as_before=False)) > total:
            self._hash_pending()  # they may only have been moved
        if 2 * (gone := len(self._missing(unread_as_before=True))) > total:
            problem = f"lacks the files of {gone:,} of its {total:,} images in the collection {self.root.collection}"
            raise self._stopped(problem, "MORE_THAN_HALF_GONE")

    def send(self) -> Iterator[FileResult]:
        """Upload the images that the collection lacks; yield the result of each file."""
        self._uploads = uploads = Uploads(
            self._client,
            self._reader,
            self.root,
            self._known,
            self._hashes,
            self._attributes_of,
            self._refused,
            reference=self._reference,
        )
        if not self._pending:
            return
        for result in self._client.index_images(uploads.of(self._pending), collection=self.root.collection):
            yield from uploads.results()
            yield from uploads.answered(result)
        yield from uploads.results()

    def settle(self) -> Iterator[FileResult]:
        """Give images their new places, and remove the old ones."""
        assert self._uploads is not None  # noqa: S101 — `send` comes first
        listing, failed = self._known, self._uploads.failed
        changes: dict[bytes, PlaceChange] = {}
        for sha256, paths in self._uploads.places.items():
            for path in paths:
                if sha256 in self._refused:  # the same bytes were sent under another path
                    failed.add(path)
                    yield self._uploads.refusal(path, sha256)
                else:
                    _change_of(changes, sha256).add[path] = self._reader.modified(path)
        for path in self._pending:
            if path not in failed:
                for old in listing.at(path):
                    if old != self._hashes[path]:
                        _change_of(changes, old).remove.add(path)
        present = {sha256 for path, sha256 in self._hashes.items() if path not in failed}
        for path in self._vanished:
            for sha256 in listing.at(path):
                _change_of(changes if sha256 in present else self._gone, sha256).remove.add(path)
        yield from self._apply(changes)

    def remove_gone(self) -> Iterator[FileResult]:
        """Remove the places of files that are gone, and delete the images that have no other."""
        yield from self._apply(self._gone)

    def keep_gone(self) -> Iterator[FileResult]:
        """Yield the files that are gone; their images stay."""
        for sha256, change in self._gone.items():
            for path in sorted(change.remove):
                yield FileResult(path, Outcome.GONE, sha256.hex())

    @property
    def _known(self) -> Listing:
        assert self._listing is not None  # noqa: S101 — `compare` comes first
        return self._listing

    def _apply(self, changes: Mapping[bytes, PlaceChange]) -> Iterator[FileResult]:
        for done in apply(self._client, self.root, changes):
            change = changes[done.sha256]
            replaced = {path for path in change.add if self._known.at(path)}
            for path in change.remove:
                self._known.remove(path, done.sha256)
            for path in change.add:
                if not done.image_id:
                    problem = "Its image was deleted during the run; the next run sends it again"
                    yield FileResult(path, Outcome.FAILED, reason="IMAGE_NOT_FOUND", problem=problem)
                    continue
                self._known.add(path, done.sha256)
                outcome = Outcome.DUPLICATE
                if path in replaced:
                    outcome = Outcome.REPLACED
                elif change.remove:
                    outcome = Outcome.MOVED
                elif not done.places or self.root.place(path) in done.places:  # or its answer was lost
                    outcome = Outcome.UNCHANGED
                yield FileResult(path, outcome, done.image_id)
            if not change.add:
                for path in sorted(change.remove - self._hashes.keys()):
                    yield FileResult(path, Outcome.REMOVED, done.image_id)

    def _missing(self, *, unread_as_before: bool) -> set[bytes]:
        """Return the images of vanished files that no other file has, according to the files read so far.

        Files that were not read count as the images that they were, or as none.
        """
        as_before = (None, b"") if unread_as_before else (None,)
        vanished = set(self._vanished)
        gone = {sha256 for path in vanished for sha256 in self._known.at(path)}
        present = {
            sha256
            for path in self._known
            if path not in vanished
            for sha256 in self._known.at(path)
            if self._hashes.get(path) in (*as_before, sha256)
        }
        return gone - present - set(self._hashes.values())

    def _hash_pending(self) -> None:
        for path in self._pending:
            if not self._hashes[path]:
                try:
                    self._hashes[path] = self._reader.read(path).sha256
                except NotRead:
                    continue

    def _is_protected(self, path: str) -> bool:
        place = PurePosixPath(path)
        return bool(self._protected) and not self._protected.isdisjoint([path, *map(str, place.parents)])

    def _stopped(self, problem: str, reason: str, hint: str = _RESTORE) -> FolderStopped:
        folder = to_text(str(self.root.folder))
        return FolderStopped(f"{folder} {problem}. Nothing was changed.", reason, hint)


def _change_of(changes: dict[bytes, PlaceChange], sha256: bytes) -> PlaceChange:
    return changes.setdefault(sha256, PlaceChange())


def _in_background(work: Callable[[], Listing]) -> Future[Listing]:
    """Run work in a thread that does not keep the process from ending."""
    future: Future[Listing] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 — raised by `Future.result`
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
