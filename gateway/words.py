"""The words index: the vocabulary of the model that serves, filled by the gateway, once for each model.

1. The index `words-<model's hash>` is created; it may be there from a run that broke off.
2. Words are added in the order of their rank, message by message, each on disk before the next. As many items as the
   index has, so many words at least are in it: that is where a broken run goes on. (It is not an exact place, because
   a few words are left out, see 4; adding a word again changes nothing.)
3. The alias `words` is set: the commit point. From here on words are searched.
4. The index is folded into segments, and that of the model before is deleted.

An item's id is the word itself, its attributes are `rank` and `taggable`. Words with a slash or a control character
("24/7") cannot be ids and are left out.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from contextlib import suppress

import structlog

from gateway.embedding import Embedder, Model, Vector, Word
from gateway.errors import GatewayError, IndexExists, IndexNotFound, WordsNotReady
from gateway.filters import Condition, Equals, Filter
from gateway.models import ModelCatalog
from gateway.readiness import Need, Readiness
from gateway.vector_index import Item, Neighbor, NewIndex, VectorIndex

ALIAS = "words"
_TAGGABLE = Filter(must=(Condition("taggable", Equals(True)),))
_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class WordsIndex:
    """Fills and searches the words index."""

    def __init__(self, embedder: Embedder, index: VectorIndex, models: ModelCatalog, readiness: Readiness) -> None:
        self._embedder = embedder
        self._index = index
        self._models = models
        self._model_id = ""
        self._wanted = asyncio.Event()
        self._readiness = readiness

    async def keep_filled(self) -> None:
        """Fills the index, and again when another model serves; runs until it is cancelled."""
        while True:
            self._wanted.clear()
            try:
                await self._fill()
            except (GatewayError, TimeoutError) as error:
                log.warning("filling the words index broke off, it goes on in a moment", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await self._wanted.wait()

    async def nearest(self, vector: Vector, k: int, model_id: str, *, taggable: bool) -> Sequence[Neighbor]:
        """Returns the k words nearest to a vector that `model_id` made, without attributes.

        Raises:
            WordsNotReady: the index is not filled with that model's words yet.
        """
        if self._model_id != model_id:
            self._wanted.set()  # another model may serve than the one whose words these are: look
            raise WordsNotReady
        return await self._index.search(
            ALIAS, vector, k, model_id, filter_=_TAGGABLE if taggable else None, attributes=False
        )

    async def _fill(self) -> None:
        model = await self._models.serving()
        if model.id != self._model_id:
            await self._readiness.set(Need.WORDS, False)
        name = f"{ALIAS}-{model.short_hash}"
        current = await self._current()
        if current != name:
            await self._add_words(name, model)
            await self._index.set_alias(ALIAS, name)
        self._model_id = model.id
        await self._readiness.set(Need.WORDS, True)
        if current != name:
            await self._index.optimize(name)
            if current:
                await self._index.delete(current)

    async def _current(self) -> str:
        with suppress(IndexNotFound):
            return (await self._index.get(ALIAS)).name
        return ""

    async def _add_words(self, name: str, model: Model) -> None:
        with suppress(IndexExists):
            await self._index.create(
                NewIndex(
                    name,
                    model.dimension,
                    model.id,
                    labels={"display_name": "Words"},
                    indexed_attributes=("taggable",),  # every tag is a search among them
                )
            )
        skip = (await self._index.get(name)).item_count
        log.info("filling the words index", index=name, words=model.word_count, already=skip)
        async for batch in self._embedder.stream_words(skip):
            if items := [_item(word) for word in batch.words if _can_be_id(word.text)]:
                await self._index.upsert(name, batch.model_id, items)
        log.info("filled the words index", index=name)


def _item(word: Word) -> Item:
    return Item(word.text, {"rank": float(word.rank), "taggable": word.taggable}, word.vector)


def _can_be_id(word: str) -> bool:
    return 0 < len(word.encode()) <= 512 and not any(
        char in "/\\" or unicodedata.category(char) == "Cc" for char in word
    )
