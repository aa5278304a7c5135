"""Makes models from recipes: fetches or makes what is missing, puts the bundle together, and tells how far it is.

Contract: who asks for a recipe that is being pulled joins that pull. A pull stops when nobody listens any more; what
came is kept in `models/.pull-<recipe>`, and the next pull goes on from there. Of several processes over one data folder
one pulls a recipe at a time. A model that is there and whole is not made again; one that is damaged is replaced.
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

__all__ = ["Progress", "Pulls"]

REPORT_SECONDS = 0.25
_RESERVE_BYTES = 16 * 2**20  # that stay free on the disk

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Progress:
    """Bytes of the recipe's files that are here, those of all of them, and at the end the model that was made.

    The files are those that are fetched or made from packages.
    """

    bytes_done: int
    bytes_total: int
    made: Manifest | None = None


@dataclass
class _Pull:
    """A pull that is under way: written by its thread, read by the event loop."""

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
        """Make the model of a recipe; the last that it yields names it. Close it to leave.

        Raises:
            PullError: see `embedder_service.errors`.
            RecipeError: see `model.errors`.
            BundleError: what the recipe makes does not open as a bundle.
            StorageFull: there is no room, or no right to write.
        """
        pull, work = self._running.get(recipe) or self._start(recipe)
        pull.listeners += 1
        told = None
        try:
            while not work.done():
                await asyncio.wait([work], timeout=REPORT_SECONDS)
                if pull.progress and pull.progress != told and not work.done():
                    told = pull.progress
                    yield told
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
        # What went wrong is told to who listens; nobody may be left.
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._running[recipe] = (pull, work)
        return pull, work

    def _make(self, pull: _Pull) -> Manifest:
        opened = self.recipes.open(pull.recipe)
        models = self._models.models
        folder = models / f".pull-{pull.recipe}"
        with storage_errors(models):
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(models / f".pull-{pull.recipe}.lock", pull.stop):
                target = models / opened.manifest.id.replace("@sha256:", "-")
                if not self._is_here(opened.manifest, target, folder):
                    self._gather(pull, opened, folder, target)
                shutil.rmtree(folder)
        pull.progress = Progress(opened.size, opened.size)
        return opened.manifest

    def _is_here(self, manifest: Manifest, target: Path, folder: Path) -> bool:
        """Return whether the model is there and whole; what is damaged, or is at its place, is moved away."""
        in_the_way = {target}
        for place, found in self._models.bundles():
            if found.id == manifest.id:
                try:
                    check_files(place, found)
                except BundleDamaged as error:
                    log.warning("a damaged bundle is made anew", folder=str(place), error=str(error))
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
        came = {}
        for file in opened.recipe.fetched:
            others = sum(bytes_here(each, folder) for each in opened.recipe.fetched if each != file)

            def tell(here: int, others: int = others) -> None:
                pull.progress = Progress(others + here, opened.size)

            came[file.name] = download(file, self._mirror, folder, tell, pull.stop)
        done = sum(file.size for file in opened.recipe.fetched)
        for filled, made in opened.filled:
            came[made.name] = fill_file(filled, made, opened.folder, folder)
            done += made.size
            pull.progress = Progress(done, opened.size)
        assemble(opened, came, self._models.bundles(), folder / "bundle", target)
        log.info("a model was made", recipe=pull.recipe, model_id=opened.manifest.id, folder=str(target))


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _RESERVE_BYTES:
        raise StorageFull(f"The model needs {needed:,} more bytes in {folder.parent}, and {free:,} are free.")


@contextmanager
def _alone(lock: Path, stop: Event) -> Iterator[None]:
    """Wait until no other thread or process holds the lock, and hold it for the length of a `with`.

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
    """Nobody listens any more."""
