"""The loaded models: the active one, and others that calls name.

Contract:
- The active model is always loaded. Another is loaded when a call first names it; concurrent calls wait for the same
  load. One model beside the active one stays loaded; any further model that no call uses is closed, least recently used
  first.
- A call uses the same model from start to end, even if another is activated.
- A model becomes active when it is loaded, with all checks passed, and `models/active` names it on disk; the next call
  uses it. A failure before that changes nothing.
- `models/active` is polled every second for changes by hand. An invalid choice is reported once, and the active model
  continues to serve.
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

POLL_SECONDS = 1.0
MAX_IDLE = 1  # unused models that stay loaded beside the active one
_LOADED = Gauge("semsearch_embedder_loaded_models", "Models that are loaded.")

log = structlog.get_logger(__name__)
T = TypeVar("T")


class _Slot(NamedTuple):
    """A loaded model, and the stack that closes it."""

    model: ServedModel
    stack: AsyncExitStack


class LoadedModels:
    """The loaded models, on one event loop; `open_models` creates and closes them."""

    def __init__(self, folder: ModelFolder, opener: Opener, threads: Executor) -> None:
        self.active_id = ""
        self.health = WorkHealth("following-choice")
        self._folder = folder
        self._opener = opener
        self._threads = threads
        self._slots: dict[str, _Slot] = {}  # least recently used first
        self._users: Counter[str] = Counter()  # calls that use a model, or wait for it
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._closes: set[asyncio.Task[None]] = set()
        self._switch = asyncio.Lock()
        self._seen: object = None  # state of `models/active` when it was last followed

    def loaded(self, model_id: str = "") -> ServedModel | None:
        """Return a model (without an id, the active one), or None if it is not loaded."""
        slot = self._slots.get(model_id or self.active_id)
        return slot.model if slot else None

    @asynccontextmanager
    async def use(self, model_id: str = "") -> AsyncIterator[ServedModel]:
        """Keep a model loaded while the context is open; without an id, the active one.

        Raises:
            ModelNotFound: no model has that id.
            BundleError: the model cannot be loaded.
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
        """Activate a model, also after a restart, and return it.

        Raises:
            ModelNotFound, BundleError: see `use`.
            StorageFull: the choice cannot be written.
        """
        async with self._switch, self.use(model_id) as model:
            await self._on_thread(lambda: self._folder.set_active(model_id))
            self._serve(model)
            return model

    async def follow_choice(self) -> None:
        """Activate the model that `models/active` names.

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
        """Follow changes that people make to `models/active`, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                choice = await self._on_thread(self._folder.choice)
                if choice != self._seen:
                    await self.follow_choice()
                    self.health.succeeded()
            except Exception as error:  # noqa: BLE001 — any error is reported, and polling continues
                expected = isinstance(error, EmbedderError | ModelError | OSError)
                self.health.failed(error, expected=expected, event="models/active is ignored")

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
            log.info("another model is active", model_id=model.id, before=self.active_id)
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
            load.exception()  # marks it as retrieved: every waiting caller may be gone

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
        for model_id in unused[: max(0, len(beside) - MAX_IDLE)]:
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
    """Load the active model, and follow changes of that choice while the context is open.

    Raises:
        ModelNotFound, BundleError: the model does not exist, or cannot be loaded.
    """
    models = LoadedModels(folder, opener, threads)
    try:
        try:
            await models.follow_choice()
        except ModelNotFound as error:
            file = folder.models / ACTIVE
            what_to_do = f"{file} names it: put the model back, or remove that file to serve the default model."
            raise ModelNotFound(error.model_id, what_to_do) from error
        watch = asyncio.create_task(models.watch_choice())
        try:
            yield models
        finally:
            watch.cancel()
            await asyncio.wait([watch])
    finally:
        await models.close()
