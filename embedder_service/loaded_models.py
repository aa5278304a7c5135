"""The models that are loaded: the one that serves, and another that calls name.

Contract:
- The one that serves is always loaded. Another is loaded when a call first names it; calls that name it meanwhile wait
  for the same load. One more than the one that serves stays loaded: of more, those that no call uses are closed, the
  one used longest ago first.
- A call uses one model from its start to its end, whatever is activated meanwhile.
- A model is activated once it is loaded, which is when all checks were passed, and once `models/active` names it on
  disk; then the next call gets it. What fails before that changes nothing.
- `models/active` is looked at every second, for a change by hand. What it names wrongly is told once, and the model
  that serves goes on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple, TypeVar

import structlog
from prometheus_client import Gauge

from embedder_service.errors import EmbedderError, ModelNotFound
from embedder_service.models import ACTIVE, ModelFolder
from embedder_service.served_model import Opener, ServedModel
from model.errors import ModelError
from serving.background import WorkHealth

__all__ = ["LoadedModels", "open_models"]

LOOK_SECONDS = 1.0
BESIDE = 1  # models beside the one that serves that stay loaded while nothing uses them
_LOADED = Gauge("semsearch_embedder_loaded_models", "Models that are loaded.")

log = structlog.get_logger(__name__)
T = TypeVar("T")


class _Slot(NamedTuple):
    """A loaded model, and what closes it."""

    model: ServedModel
    stack: AsyncExitStack


class LoadedModels:
    """The loaded models, on one event loop; `open_models` makes it and closes them."""

    def __init__(self, folder: ModelFolder, opener: Opener, threads: Executor) -> None:
        self.active_id = ""
        self.health = WorkHealth("following-choice")
        self._folder = folder
        self._opener = opener
        self._threads = threads
        self._slots: dict[str, _Slot] = {}  # the one that was used longest ago first
        self._users: Counter[str] = Counter()  # calls that use a model, or wait for it
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._closes: set[asyncio.Task[None]] = set()
        self._switch = asyncio.Lock()
        self._seen: object = None  # what `models/active` was when it was last followed

    def loaded(self, model_id: str = "") -> ServedModel | None:
        """Return a model, without an id the one that serves, or None where it is not loaded."""
        slot = self._slots.get(model_id or self.active_id)
        return slot.model if slot else None

    @asynccontextmanager
    async def use(self, model_id: str = "") -> AsyncIterator[ServedModel]:
        """Give a model for the length of a `with`; without an id the one that serves.

        Raises:
            ModelNotFound: there is none of that id.
            BundleError: it cannot be loaded.
        """
        wanted = model_id or self.active_id
        self._users[wanted] += 1
        try:
            if wanted not in self._slots:
                await self._load(wanted)
            yield self._slots[wanted].model
        finally:
            self._users[wanted] -= 1
            self._used(wanted)

    async def activate(self, model_id: str) -> ServedModel:
        """Make a model the one that serves, now and after a restart, and return it.

        Raises:
            ModelNotFound, BundleError: see `use`.
            StorageFull: the choice cannot be written down.
        """
        async with self._switch, self.use(model_id) as model:
            await self._on_thread(lambda: self._folder.set_active(model_id))
            self._serve(model)
            return model

    async def follow_choice(self) -> None:
        """Make the model serve that `models/active` names.

        Raises:
            ModelNotFound, BundleError: see `use`.
        """
        async with self._switch:
            self._seen = await self._on_thread(self._folder.choice)
            wanted = await self._on_thread(self._folder.active_id)
            if wanted != self.active_id:
                async with self.use(wanted) as model:
                    self._serve(model)

    async def watch_choice(self) -> None:
        """Follow each change of `models/active` that somebody makes by hand, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                choice = await self._on_thread(self._folder.choice)
                if choice != self._seen:
                    await self.follow_choice()
                    self.health.succeeded()
            except Exception as error:  # noqa: BLE001 — whatever it is, the choice goes on being followed
                expected = isinstance(error, EmbedderError | ModelError | OSError)
                self.health.failed(error, expected=expected, event="models/active is passed over")

    async def close(self) -> None:
        """Close all models."""
        for load in self._loads.values():
            load.cancel()
        await asyncio.gather(*self._loads.values(), return_exceptions=True)
        for model_id in list(self._slots):
            self._close(model_id)
        await asyncio.gather(*self._closes)

    def _serve(self, model: ServedModel) -> None:
        if self.active_id not in ("", model.id):
            log.info("another model serves", model_id=model.id, before=self.active_id)
        self.active_id = model.id

    async def _load(self, model_id: str) -> None:
        """Load a model, or wait for a load in progress; the load continues if the caller leaves."""
        load = self._loads.get(model_id)
        if load is None:
            load = self._loads[model_id] = asyncio.create_task(self._open(model_id))
            load.add_done_callback(lambda done: self._loaded(model_id, done))
        await asyncio.shield(load)

    def _loaded(self, model_id: str, load: asyncio.Task[None]) -> None:
        del self._loads[model_id]
        if not load.cancelled():
            load.exception()  # is told to who waits; nobody may be left

    async def _open(self, model_id: str) -> None:
        folder = await self._on_thread(lambda: self._folder.folder(model_id))
        async with AsyncExitStack() as stack:
            model = await stack.enter_async_context(self._opener(folder))
            self._slots[model_id] = _Slot(model, stack.pop_all())
        _LOADED.inc()
        self._close_unused()

    def _used(self, model_id: str) -> None:
        if not self._users[model_id]:
            del self._users[model_id]
        if slot := self._slots.pop(model_id, None):
            self._slots[model_id] = slot
        self._close_unused()

    def _close_unused(self) -> None:
        beside = [model_id for model_id in self._slots if model_id != self.active_id]
        unused = [model_id for model_id in beside if model_id not in self._users]
        for model_id in unused[: max(0, len(beside) - BESIDE)]:
            self._close(model_id)

    def _close(self, model_id: str) -> None:
        task = asyncio.create_task(self._slots.pop(model_id).stack.aclose())
        self._closes.add(task)
        task.add_done_callback(self._closes.discard)
        _LOADED.dec()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@asynccontextmanager
async def open_models(folder: ModelFolder, opener: Opener, threads: Executor) -> AsyncIterator[LoadedModels]:
    """Load the model that should serve, and follow changes of that choice for the length of a `with`.

    Raises:
        ModelNotFound, BundleError: it is not there, or cannot be loaded.
    """
    models = LoadedModels(folder, opener, threads)
    try:
        try:
            await models.follow_choice()
        except ModelNotFound as error:
            file = folder.models / ACTIVE
            what_to_do = f"{file} names it: put it back, or remove that file, and the default model serves."
            raise ModelNotFound(error.model_id, what_to_do) from error
        watch = asyncio.create_task(models.watch_choice())
        try:
            yield models
        finally:
            watch.cancel()
            await asyncio.wait([watch])
    finally:
        await models.close()
