"""Switch the whole suite to another model.

1. A record names the target (`switch_state.py`): the commit point of the request. A restart now resumes the switch.
2. The words of the target are indexed. The index folds them into segments by itself, which nobody waits for: of a large
   vocabulary that takes longer than all the rest, and until then it compares a query with each word.
3. The collections of other models are moved, in turn, each at a commit point of its own
   (`collection_switch.py`). Each is searched with its own model all the while.
4. The embedder is switched: the target serves where a call names no model, and new collections are of it.
5. The alias `words` is moved. Collections that were created with the model before, in between, are moved as in 3.
6. What is no longer used is removed: words of other models, indexes that broken runs of this process left.
7. The record is emptied: done.

Every step can be repeated, so an interrupted run restarts at 2. If a service does not answer, the run waits and
restarts. If the embedder reports that the model cannot serve, the switch is given up: collections that were moved stay
moved, the others stay as they were, and all can be searched.

The switch continues whether or not a caller follows it. Of several gateways, only the owner switches (see
`gateway.lease`). If it ends, the next owner reads the record and continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import structlog
from prometheus_client import Gauge

from gateway.backends.embedding import Embedder, Model
from gateway.backends.refusals import Refused
from gateway.collections.image_collections import Collection, ImageCollections
from gateway.collections.orphans import Orphans
from gateway.errors import AmbiguousModel, CollectionNotFound, GatewayError, SwitchUnderWay, UnknownModel
from gateway.search.words import WordsIndex
from gateway.switching.collection_switch import CollectionMoved, CollectionSwitch
from gateway.switching.index_copy import Tally
from gateway.switching.switch_run import SwitchProgress, SwitchRun
from gateway.switching.switch_state import SwitchState
from serving.background import WorkHealth

_RETRY_SECONDS = 1.0
# What the embedder says of a model that will not be another one for being asked again.
_NO_MODEL = frozenset({"MODEL_NOT_FOUND", "BUNDLE_DAMAGED", "BUNDLE_TOO_NEW"})
_RUNNING = Gauge("semsearch_gateway_switches_running", "1 while this process switches the suite to another model.")

log = structlog.get_logger(__name__)


class ModelSwitch:
    """Runs one switch at a time."""

    def __init__(
        self,
        embedder: Embedder,
        collections: ImageCollections,
        orphans: Orphans,
        words: WordsIndex,
        switch: CollectionSwitch,
        state: SwitchState,
        health: WorkHealth | None = None,
    ) -> None:
        self._embedder = embedder
        self._collections = collections
        self._orphans = orphans
        self._words = words
        self._switch = switch
        self._state = state
        self._run: SwitchRun | None = None
        self._recording: asyncio.Task[SwitchRun] | None = None
        self._beginning = asyncio.Lock()
        self._begun = asyncio.Event()
        self.health = health or WorkHealth("switching")

    async def keep_switching(self) -> None:
        """Do the switch that was interrupted, and those that are requested; run until cancelled."""
        while True:
            self._begun.clear()
            try:
                run = await self._current()
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if run is not None:
                with self._orphans.switching(), _RUNNING.track_inprogress():
                    await self._finish(run)
                self._run = None
            self.health.succeeded()
            await self._begun.wait()

    async def activate(self, name: str) -> AsyncGenerator[SwitchProgress, None]:
        """Switch to a model, or join the switch to it; yield its progress, with the model at the end.

        Raises:
            ModelNotFound, UnknownModel, AmbiguousModel: the name, or the id, is not that of one model.
            SwitchUnderWay: another model is being switched to.
            Refused: the embedder cannot serve the model.
        """
        target = await self._resolve(name)
        async with self._beginning:
            if self._recording is not None:  # perhaps its caller has left, and it is not under way yet
                await asyncio.wait({self._recording})
            run = await self._current()
            if run is not None and run.target != target.id:
                raise SwitchUnderWay(run.target)
            run = run or await self._begin(target)
        async for progress in run.watch():
            yield progress

    async def _current(self) -> SwitchRun | None:
        """Return the switch that is under way: this process's, or the one that the record names."""
        if self._run is None and (target := await self._state.read()):
            self._run = self._run or SwitchRun(target)
        return self._run

    async def _begin(self, model: Model) -> SwitchRun:
        """Begin the switch to a model; where it serves everywhere, that is done already."""
        run = SwitchRun(model.id)
        others = await self._others(run)
        serving, _ = await self._embedder.get_model()
        if serving.id == model.id and not others and await self._words.is_filled(model.id):
            run.succeed(serving)
        else:
            # A task of its own: a cancelled call must not separate the record from the run.
            self._recording = asyncio.create_task(self._record(run))
            run = await asyncio.shield(self._recording)
        return run

    async def _record(self, run: SwitchRun) -> SwitchRun:
        """Write the record, and return the run; another one, if that was begun from the record in the meantime."""
        await self._state.write(run.target)
        self._run = self._run or run
        self._begun.set()
        return self._run

    async def _resolve(self, name: str) -> Model:
        if "@" in name:
            return (await self._embedder.get_model(name))[0]
        found = [model for model in await self._embedder.list_models() if model.id.partition("@")[0] == name]
        if len(found) > 1:
            raise AmbiguousModel(name, sorted(model.id for model in found))
        if not found:
            raise UnknownModel(name)
        return found[0]

    async def _finish(self, run: SwitchRun) -> None:
        while not run.ended:
            try:
                await self._attempt(run)
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _attempt(self, run: SwitchRun) -> None:
        try:
            model = await self._switch_to(run)
        except Refused as error:
            if error.refusal.reason not in _NO_MODEL:
                raise
            serving, _ = await self._embedder.get_model()
            in_use = {serving.id, *(each.model_id for each in await self._collections.settled())}
            await self._clean_up(in_use)
            log.warning("a switch was given up", model=run.target, error=str(error))
            run.fail(error)
        else:
            await self._clean_up({model.id})
            log.info("switched to another model", model=model.id)
            run.succeed(model)

    async def _switch_to(self, run: SwitchRun) -> Model:
        log.info("switching to another model", model=run.target)
        model, _ = await self._embedder.get_model(run.target)
        await self._others(run)
        await self._words.fill(model, lambda done: run.count_words(done, model.word_count))
        await self._move_collections(run, model)
        model = await self._embedder.activate_model(model.id)
        await self._words.activate(model)
        await self._move_collections(run, model)
        return model

    async def _move_collections(self, run: SwitchRun, model: Model) -> None:
        while others := await self._others(run):
            for each in others:
                try:
                    await self._switch.run(each.id, model, run.tally(each.id), run.notify)
                except (CollectionMoved, CollectionNotFound):
                    log.info("a collection was deleted while it was switched", collection=each.id)

    async def _others(self, run: SwitchRun) -> list[Collection]:
        """Return the collections that are of another model, and count the images of all."""
        collections = await self._collections.settled()
        others = [each for each in collections if each.model_id != run.target]
        run.count({each.id: Tally(_done(each, run.target), total=each.image_count) for each in collections})
        return others

    async def _clean_up(self, in_use: set[str]) -> None:
        await self._words.drop_all_but(in_use)
        await self._switch.drop_targets()
        await self._state.clear()


def _done(collection: Collection, model_id: str) -> int:
    return collection.image_count if collection.model_id == model_id else 0
