"""Several embedders as one `Embedder`.

Which model serves is in a record that all gateways share, and each call names its model. So no answer mixes two models,
whatever the embedders themselves hold for active: with that they only choose what to keep loaded. The owner brings each
of them to the serving model (`keep_prepared`): at a switch, when it is started, and when it is back. An embedder that
lacks the model gets it from another, or makes it from a recipe. If neither is there, `health` says so. Until it has the
model, it gets no calls for it.

A single embedder decides itself which model serves, as its file `models/active` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TypeVar

import structlog

from gateway.backends.coordination import Records
from gateway.backends.embedder_client import EmbedderClient
from gateway.backends.embedder_pool import EmbedderNode, EmbedderPool
from gateway.backends.embedding import (
    ImageEmbeddings,
    ImageInput,
    Limits,
    Model,
    PullProgress,
    Recipe,
    TextEmbeddings,
    TextQuery,
    Words,
)
from gateway.errors import GatewayError
from serving.background import WorkHealth

RECORD = "gateway.serving-model"
_PREPARE_SECONDS = 5.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


class _ModelMissing(Exception):
    """An embedder has neither the serving model nor a recipe for it."""

    def __init__(self, model_id: str, address: str) -> None:
        super().__init__(
            f"The embedder at {address} has no model {model_id}, so it gets no calls for it. Put the model's folder "
            "into models/ of its data folder."
        )


class Embedders:
    """Implements `gateway.backends.embedding.Embedder`; `records` holds the serving model."""

    def __init__(self, pool: EmbedderPool, records: Records, health: WorkHealth | None = None) -> None:
        self._pool = pool
        self._records = records
        self.health = health or WorkHealth("preparing-embedders")

    async def embed_texts(self, queries: Sequence[TextQuery], model_id: str = "") -> TextEmbeddings:
        """Embed 1 to `Limits.max_queries` queries."""
        model_id = model_id or await self._serving()
        return await (await self._pool.with_model(model_id)).embed_texts(queries, model_id)

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        """Embed 1 to `Limits.max_images` images."""
        model_id = model_id or await self._serving()
        return await (await self._pool.with_model(model_id)).embed_images(images, model_id)

    async def stream_words(self, skip: int, model_id: str = "") -> AsyncGenerator[Words, None]:
        """Yield the vocabulary after its first `skip` words; close the generator to stop."""
        model_id = model_id or await self._serving()
        client = await self._pool.with_model(model_id)
        async with aclosing(client.stream_words(skip, model_id)) as words:
            async for each in words:
                yield each

    async def get_model(self, model_id: str = "") -> tuple[Model, Limits]:
        """Return a model."""
        serving = await self._serving()
        wanted = model_id or serving
        model, limits = await (await self._pool.with_model(wanted)).get_model(wanted)
        return self._described(model, serving), limits

    async def list_models(self) -> Sequence[Model]:
        """Return the models that at least one embedder has."""
        serving = await self._serving()
        lists = await _of_each(self._pool, lambda client: client.list_models())
        found = {model.id: model for models in lists for model in models}
        return [self._described(found[model_id], serving) for model_id in sorted(found)]

    async def list_recipes(self) -> Sequence[Recipe]:
        """Return the built-in recipes, by name."""
        return await self._pool.everyone.list_recipes()

    async def pull_model(self, recipe: str) -> AsyncGenerator[PullProgress, None]:
        """Make a model from a built-in recipe on each embedder, yielding the progress of all; close it to stop.

        It is complete when all that are well have ended and one has succeeded. `keep_prepared` cares for the others.
        """
        nodes = self._pool.nodes
        if len(nodes) < 2:
            pull = self._pool.everyone.pull_model(recipe)
        else:
            pull = _together({node.address: node.client.pull_model(recipe) for node in nodes})
        async with aclosing(pull) as progress:
            async for each in progress:
                if each.model is not None:
                    await self._pool.look_at_all()
                yield each

    async def activate_model(self, model_id: str) -> Model:
        """Make a model the default for calls that name none, and return it.

        It is enough that one embedder can serve it; `keep_prepared` cares for the others.
        """
        await self._pool.look_at_all()
        having = [node for node in self._pool.nodes if model_id in (node.models or ())]
        if having:
            results = await asyncio.gather(
                *(node.client.activate_model(model_id) for node in having), return_exceptions=True
            )
            [model, *_] = _successes(results)
        else:
            model = await (await self._pool.with_model(model_id)).activate_model(model_id)
        if self._pool.several:
            await self._records.write(RECORD, model_id.encode())
        return replace(model, active=True)

    async def keep_prepared(self) -> None:
        """Keep the serving model loaded on each of several embedders; run until cancelled. Only the owner does."""
        while self._pool.several:
            with suppress(GatewayError, TimeoutError):  # the embedders' and the index's health says so
                wanted = await self._serving()
                nodes = self._pool.nodes
                await asyncio.gather(*(self._prepare(node, wanted) for node in nodes))
            await asyncio.sleep(_PREPARE_SECONDS)

    async def _prepare(self, node: EmbedderNode, wanted: str) -> None:
        try:
            if wanted not in (node.models or ()):
                await self._make(node, wanted)
            if node.active != wanted:
                await node.client.activate_model(wanted)
                log.info("an embedder keeps the serving model loaded", address=node.address, model=wanted)
                await self._pool.look(node)
        except (_ModelMissing, GatewayError, TimeoutError) as error:
            self.health.failed(error, node.address, expected=True)
        else:
            self.health.succeeded(node.address)

    async def _make(self, node: EmbedderNode, wanted: str) -> None:
        """Give an embedder a model: from another that has it, or by a recipe; raises `_ModelMissing` if neither is."""
        having = [other for other in self._pool.nodes if wanted in (other.models or ())]
        if having:
            log.info("an embedder gets a model from another", model=wanted, source=having[0].address, to=node.address)
            await having[0].client.copy_model(wanted, node.client)
        else:
            recipes = [each.name for each in await node.client.list_recipes() if each.model_id == wanted]
            if not recipes:
                raise _ModelMissing(wanted, node.address)
            log.info("an embedder makes the serving model", address=node.address, model=wanted)
            async with aclosing(node.client.pull_model(recipes[0])) as pull:
                async for _ in pull:
                    pass
        await self._pool.look(node)

    async def _serving(self) -> str:
        """Return the id of the serving model, or "" if the embedder decides."""
        if not self._pool.several:
            return ""
        recorded = await self._records.read(RECORD)
        if not recorded:
            model, _ = await self._pool.everyone.get_model()
            recorded = await self._records.write_first(RECORD, model.id.encode())
        return recorded.decode()

    def _described(self, model: Model, serving: str) -> Model:
        return replace(model, active=model.id == serving) if serving else model


async def _of_each(pool: EmbedderPool, call: Callable[[EmbedderClient], Awaitable[T]]) -> list[T]:
    """Return what each embedder answers that is well; raise the first error if none does."""
    clients = [node.client for node in pool.nodes] or [pool.everyone]
    return _successes(await asyncio.gather(*(call(client) for client in clients), return_exceptions=True))


def _successes(results: Sequence[T | BaseException]) -> list[T]:
    """Return the results that are no errors; raise the first error if there are none."""
    successes = [result for result in results if not isinstance(result, BaseException)]
    if not successes:
        raise next(result for result in results if isinstance(result, BaseException))
    return successes


async def _together(pulls: Mapping[str, AsyncGenerator[PullProgress, None]]) -> AsyncGenerator[PullProgress, None]:
    """Yield the sum of several pulls, and the model when all have ended; raise the first error if all have failed."""
    last: dict[str, PullProgress] = {}
    changed = asyncio.Event()

    async def follow(address: str, pull: AsyncGenerator[PullProgress, None]) -> PullProgress | BaseException:
        try:
            async with aclosing(pull):
                async for last[address] in pull:
                    changed.set()
            return last[address]
        except (GatewayError, TimeoutError) as error:
            log.warning("an embedder does not make a model", address=address, error=str(error))
            return error
        finally:
            changed.set()

    # No task group: closing a generator inside one would raise an error.
    tasks = [asyncio.create_task(follow(address, pull)) for address, pull in pulls.items()]
    try:
        while not all(task.done() for task in tasks):
            await changed.wait()
            changed.clear()
            if last and not all(task.done() for task in tasks):
                yield PullProgress(_done(last), _total(last))
        ended = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    model = next((each.model for each in _successes(ended) if each.model), None)
    yield PullProgress(_done(last), _total(last), model)


def _done(last: Mapping[str, PullProgress]) -> int:
    return sum(each.bytes_done for each in last.values())


def _total(last: Mapping[str, PullProgress]) -> int:
    return sum(each.bytes_total for each in last.values())
