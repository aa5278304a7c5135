"""The words indexes: the vocabulary of each model in use, filled by the gateway, once for each model.

1. The index `words-<model's hash>` is created; it may exist from an interrupted run.
2. Words are added in the order of their rank, message by message; while the index writes some, the next are read. An
   interrupted run resumes at the index's item count. (That is a lower bound, because a few words are left out, see
   below; adding a word again changes nothing.)
3. The alias `words.<model's hash>` is set: the commit point. From here on the model's words are searched.
4. The index is folded into segments.

The alias `words` names those of the model that serves, for operators.

An item's id is the word itself, its attributes are `rank` and `taggable`. Words with a slash or a control character
("24/7") cannot be ids and are left out.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress

import numpy as np
import structlog

from gateway.backends.attributes import to_text
from gateway.backends.embedding import Embedder, Model, Vector, Words, short_hash
from gateway.backends.filters import is_true
from gateway.backends.models import ModelCatalog
from gateway.backends.refusals import IndexExists, IndexNotFound, Refused
from gateway.backends.vector_index import Engine, Item, Neighbor, NewIndex, Position, VectorIndex
from gateway.errors import GatewayError, WordsNotReady
from gateway.readiness import Need, Readiness
from gateway.search.tag_choice import CANDIDATES, choose_distinct
from serving.background import WorkHealth

ALIAS = "words"
_TAGGABLE = is_true("taggable")
_RETRY_SECONDS = 1.0
_MAX_ID_BYTES = 512
_NOT_IN_IDS = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")

OnProgress = Callable[[int], None]

log = structlog.get_logger(__name__)


class WordsIndex:
    """Fills and searches the words indexes."""

    def __init__(
        self,
        embedder: Embedder,
        index: VectorIndex,
        models: ModelCatalog,
        readiness: Readiness,
        health: WorkHealth | None = None,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._models = models
        self._readiness = readiness
        self._filling = asyncio.Lock()
        self._wanted: set[str] = set()
        self._more = asyncio.Event()
        self.health = health or WorkHealth("words")

    async def keep_filled(self) -> None:
        """Fill the index of the model that serves, and of each requested model; run until cancelled.

        Only the owner does (see `gateway.lease`).
        """
        while True:
            self._more.clear()
            try:
                serving = await self._models.serving()
                filled = await self.is_filled(serving.id)
                await self._readiness.set(Need.WORDS, filled)
                if not filled:
                    await self.fill(serving)
                    await self._readiness.set(Need.WORDS, True)
                    await self.fold(serving)
                await self.activate(serving)
                while self._wanted:
                    await self._fill_wanted(next(iter(self._wanted)))
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.health.succeeded()
            await self._more.wait()

    async def await_filled(self) -> None:
        """Wait until the owner has filled the index of the model that serves."""
        while True:
            try:
                filled = await self.is_filled((await self._models.serving()).id)
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
            else:
                self.health.succeeded()
                if filled:
                    return await self._readiness.set(Need.WORDS, True)
            await asyncio.sleep(_RETRY_SECONDS)

    async def nearest(
        self,
        vector: Vector,
        k: int,
        model_id: str,
        *,
        taggable: bool,
        vectors: bool = False,
        after: Position | None = None,
    ) -> Sequence[Neighbor]:
        """Return the k words nearest to a vector that `model_id` made, without attributes; behind `after`, if given.

        Raises:
            WordsNotReady: the index is not filled with that model's words yet.
            PositionOutOfDate: `after` is of another index.
        """
        alias = _alias_of(model_id)
        try:
            found = await self._index.search(
                alias,
                vector,
                k,
                model_id,
                filter_=_TAGGABLE if taggable else None,
                attributes=(),
                vectors=vectors,
                after=after,
            )
        except IndexNotFound as error:
            self._wanted.add(model_id)
            self._more.set()
            raise WordsNotReady from error
        return found.neighbors

    async def nearest_tags(self, vector: Vector, count: int, model_id: str) -> Sequence[Neighbor]:
        """Return words near to a vector that may be tags and say different things, nearest first.

        Raises:
            WordsNotReady: the index is not filled with that model's words yet.
        """
        found = await self.nearest(vector, CANDIDATES * count, model_id, taggable=True, vectors=True)
        if len(found) <= count:
            return found
        vectors = np.stack([each.vector for each in found if each.vector is not None])
        return [found[place] for place in choose_distinct([each.similarity for each in found], vectors, count)]

    async def fill(self, model: Model, on_progress: OnProgress = lambda _: None) -> None:
        """Fill the index of a model, if it is not filled; `on_progress` receives the number of words done."""
        async with self._filling:
            if not await self.is_filled(model.id):
                await self._add_words(_name_of(model.id), model, on_progress)
                await self._index.set_alias(_alias_of(model.id), _name_of(model.id))
        on_progress(model.word_count)

    async def fold(self, model: Model) -> None:
        """Fold the index of a model, which is filled, into segments."""
        await self._index.optimize(_name_of(model.id))

    async def activate(self, model: Model) -> None:
        """Let the alias `words` name the index of a model, which is filled."""
        await self._index.set_alias(ALIAS, _name_of(model.id))

    async def drop_all_but(self, model_ids: Iterable[str]) -> None:
        """Remove the indexes of all other models, none of which may be in use."""
        kept = {_name_of(model_id) for model_id in model_ids}
        async with self._filling:
            for info in await self._index.list_all():
                if info.name.startswith(f"{ALIAS}-") and info.name not in kept:
                    for alias in info.aliases:
                        await self._index.delete_alias(alias)
                    await self._index.delete(info.name)
                    log.info("removed the words of a model that is not in use", index=info.name)
        self._more.set()

    async def is_filled(self, model_id: str) -> bool:
        """Return whether the words of a model can be searched."""
        with suppress(IndexNotFound):
            await self._index.get(_alias_of(model_id))
            return True
        return False

    async def _fill_wanted(self, model_id: str) -> None:
        """Fill the index of a model, if it has images: it may have gone out of use."""
        try:
            infos = await self._index.list_all()
            if any(each.model_id == model_id and not each.name.startswith(f"{ALIAS}-") for each in infos):
                model = await self._models.describe(model_id)
                await self.fill(model)
                await self.fold(model)
        except Refused as error:
            # A model that is gone, or damaged, must not keep the others' words from being filled.
            log.warning("the words of a model are unavailable", model=model_id, error=str(error))
        self._wanted.discard(model_id)

    async def _add_words(self, name: str, model: Model, on_progress: OnProgress) -> None:
        with suppress(IndexExists):
            await self._index.create(
                NewIndex(
                    name,
                    model.dimension,
                    model.id,
                    Engine.ANNOY,
                    labels={"display_name": "Words"},
                    indexed_attributes=("taggable",),  # every tag is a search among them
                )
            )
        skip = (await self._index.get(name)).item_count
        log.info("filling the words index", index=name, words=model.word_count, already=skip)
        async with aclosing(self._batches(skip, model.id, on_progress)) as batches:
            await self._index.load(name, model.id, batches)
        log.info("filled the words index", index=name)

    async def _batches(self, skip: int, model_id: str, on_progress: OnProgress) -> AsyncGenerator[list[Item], None]:
        on_progress(skip)
        async with aclosing(self._embedder.stream_words(skip, model_id)) as words:
            async for batch in words:
                # On a thread, so that searches do not wait for it.
                if items := await asyncio.to_thread(_items, batch):
                    yield items
                on_progress(batch.words[-1].rank + 1)


def is_words_index(name: str) -> bool:
    """Return whether an index has that name because it has the words of a model."""
    return name.startswith(f"{ALIAS}-")


def _name_of(model_id: str) -> str:
    return f"{ALIAS}-{short_hash(model_id)}"


def _alias_of(model_id: str) -> str:
    return f"{ALIAS}.{short_hash(model_id)}"


def _items(batch: Words) -> list[Item]:
    return [
        Item(word.text, to_text({"rank": word.rank, "taggable": word.taggable}), vector)
        for word, vector in zip(batch.words, batch.vectors, strict=True)
        if _can_be_id(word.text)
    ]


def _can_be_id(word: str) -> bool:
    return 0 < len(word.encode()) <= _MAX_ID_BYTES and not _NOT_IN_IDS.search(word)
