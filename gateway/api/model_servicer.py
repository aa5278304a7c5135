"""ModelService on top of the embedder and the model switch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
from semsearch.v1 import model_service_pb2 as pb
from semsearch.v1 import model_service_pb2_grpc as pb_grpc
from typing_extensions import override

from gateway.api import translate
from gateway.backends.embedding import Embedder
from gateway.switching.model_switch import ModelSwitch
from serving.errors import InvalidField
from serving.page_tokens import PageTokens, page_size

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_ID_CHARACTERS = 200

Context = grpc.aio.ServicerContext[Any, Any]


class ModelServicer(pb_grpc.ModelServiceServicer):
    """Lists, pulls and activates the embedder's models."""

    def __init__(self, embedder: Embedder, switch: ModelSwitch, tokens: PageTokens) -> None:
        self._embedder = embedder
        self._switch = switch
        self._tokens = tokens

    @override
    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """List the models that can be served, by id."""
        size = page_size(request.page_size, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        after = self._tokens.decode(request.page_token, request) or ""
        models = sorted(
            (model for model in await self._embedder.list_models() if model.id > after), key=lambda model: model.id
        )
        more = len(models) > size
        return pb.ListModelsResponse(
            models=[translate.model_message(model) for model in models[:size]],
            next_page_token=self._tokens.encode(models[size - 1].id, request) if more else "",
        )

    @override
    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """Return a model's description."""
        model, _ = await self._embedder.get_model(_at_most(request.id, "id"))
        return pb.GetModelResponse(model=translate.model_message(model))

    @override
    async def ListRecipes(self, request: pb.ListRecipesRequest, context: Context) -> pb.ListRecipesResponse:
        """List the recipes that models can be made from."""
        recipes = await self._embedder.list_recipes()
        return pb.ListRecipesResponse(recipes=[translate.recipe_message(recipe) for recipe in recipes])

    @override
    async def PullModel(self, request: pb.PullModelRequest, context: Context) -> AsyncIterator[pb.PullModelResponse]:
        """Make a model from a recipe, streaming its progress."""
        recipe = _required(request.recipe, "recipe")
        async with aclosing(self._embedder.pull_model(recipe)) as pull:
            async for progress in pull:
                yield translate.pull_message(progress)

    @override
    async def ActivateModel(
        self, request: pb.ActivateModelRequest, context: Context
    ) -> AsyncIterator[pb.ActivateModelResponse]:
        """Switch to a model, streaming the progress."""
        async with aclosing(self._switch.activate(_required(request.id, "id"))) as switch:
            async for progress in switch:
                yield translate.switch_message(progress)


def _required(text: str, field: str) -> str:
    if not text:
        raise InvalidField(field, "must not be empty.")
    return _at_most(text, field)


def _at_most(text: str, field: str) -> str:
    if len(text) > MAX_ID_CHARACTERS:
        raise InvalidField(field, f"has at most {MAX_ID_CHARACTERS} characters; there were {len(text):,}.")
    return text
